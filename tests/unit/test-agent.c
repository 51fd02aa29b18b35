/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's batches: bytes, results, the move gate. See agent-rig.h. */
#include <sched.h>
#include <sys/stat.h>

#include "agent-rig.h"

static struct rig rig;

static void expect(const struct vmpager_batch *b, unsigned page, enum vmpager_result result)
{
        ck_assert_msg(b->result[page] == result, "page %u: result %d, not %d", page, b->result[page], result);
}

static void expect_all(const struct vmpager_batch *b, unsigned pages, enum vmpager_result result)
{
        for (unsigned i = 0; i < pages; i++)
                expect(b, i, result);
}

static void expect_slot(unsigned slot, unsigned seed, unsigned page)
{
        ck_assert_msg(pattern_matches(rig_slot(&rig, slot), seed, page), "slot %u is not page %u", slot, page);
}

/* A fault of the child's on an evicted page, answered from that memory. */
static void serve(uint64_t address, const void *from)
{
        struct uffd_msg msg;
        struct uffdio_copy copy = { .dst = address, .src = (uintptr_t)from, .len = PAGE };

        rig_wait_readable(rig.uffd);
        ck_assert_int_eq(read(rig.uffd, &msg, sizeof(msg)), sizeof(msg));
        ck_assert_uint_eq(msg.event, UFFD_EVENT_PAGEFAULT);
        ck_assert_uint_eq(msg.arg.pagefault.address & ~(PAGE - 1), address);
        ck_assert_int_eq(ioctl(rig.uffd, UFFDIO_COPY, &copy), 0);
}

START_TEST(test_bytes)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 40, 1);
        rig_do(&rig, "zero %lu", p + 5 * PAGE);
        rig_do(&rig, "drop %lu", p + 7 * PAGE);
        rig_watch(&rig, p, 40);

        b = rig_batch(&rig, 100);
        rig_add_run(b, p + 30 * PAGE, 2);
        rig_add_run(b, p, 20);
        rig_evict(&rig);

        for (unsigned i = 0; i < 22; i++)
                expect(b, i, i == 2 + 5 ? VMPAGER_RES_ZERO : i == 2 + 7 ? VMPAGER_RES_ABSENT : VMPAGER_RES_MOVED);
        expect_slot(100, 1, 30);
        expect_slot(101, 1, 31);
        for (unsigned i = 0, slot = 102; i < 20; i++)
                if (i != 5 && i != 7)
                        expect_slot(slot++, 1, i);
        for (unsigned i = 0; i < 40; i++)
                ck_assert(rig_present(&rig, p + i * PAGE) == (i >= 20 && i != 30 && i != 31));

        rig_tell(&rig, "check %lu 1 3", p + 3 * PAGE);
        serve(p + 3 * PAGE, rig_slot(&rig, 105));
        ck_assert_str_eq(rig_answer(&rig), "ok");
        rig_do(&rig, "check %lu 1 25", p + 25 * PAGE);
}
END_TEST

/* As many batches as the ring holds, of the full size, posted at once, in two rounds. */
START_TEST(test_full_ring)
{
        const unsigned batches = VMPAGER_RING_BATCHES, pages = RIG_SLOTS / VMPAGER_RING_BATCHES;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, RIG_SLOTS * 2, 2);
        rig_watch(&rig, p, RIG_SLOTS * 2);
        for (unsigned round = 0; round < 2; round++) {
                uint64_t base = p + round * RIG_SLOTS * PAGE;

                for (unsigned n = 0; n < batches; n++) {
                        struct vmpager_batch *b = rig_batch(&rig, n * pages);

                        /* Even batches are one run, odd ones single pages from the end to the start. */
                        if (n % 2 == 0)
                                rig_add_run(b, base + n * pages * PAGE, pages);
                        for (unsigned i = 0; n % 2 == 1 && i < pages; i++)
                                rig_add_run(b, base + ((n + 1) * pages - 1 - i) * PAGE, 1);
                        rig_post(&rig);
                }
                rig_wait_completed(&rig);
                for (unsigned n = 0; n < batches; n++) {
                        expect_all(&rig.ring->batch[n], pages, VMPAGER_RES_MOVED);
                        for (unsigned i = 0; i < pages; i++)
                                expect_slot(n * pages + i, 2, round * RIG_SLOTS +
                                            (n % 2 == 0 ? n * pages + i : (n + 1) * pages - 1 - i));
                }
        }
        ck_assert_uint_eq(rig.ring->completed, 2 * batches);
}
END_TEST

START_TEST(test_shared)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 100, 3);
        rig_do(&rig, "share %lu", p);
        /* Written after the fork, these two are the child's own again. */
        rig_do(&rig, "zero %lu", p + 1 * PAGE);
        rig_do(&rig, "zero %lu", p + 90 * PAGE);
        rig_watch(&rig, p, 100);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 100);
        rig_evict(&rig);
        for (unsigned i = 0; i < 100; i++)
                expect(b, i, i == 1 || i == 90 ? VMPAGER_RES_ZERO : VMPAGER_RES_BUSY);
        rig_do(&rig, "check %lu 3 2", p + 2 * PAGE);
}
END_TEST

START_TEST(test_pinned)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 16, 4);
        rig_tell(&rig, "pin %lu", p + 3 * PAGE);
        if (strcmp(rig_answer(&rig), "ok") != 0) {
                printf("test_pinned: not run: io_uring is not to be had here\n");
                return;
        }
        rig_watch(&rig, p, 16);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 16);
        rig_evict(&rig);
        for (unsigned i = 0; i < 16; i++) {
                expect(b, i, i == 3 ? VMPAGER_RES_BUSY : VMPAGER_RES_MOVED);
                if (i != 3)
                        expect_slot(i < 3 ? i : i - 1, 4, i);
        }
        rig_do(&rig, "check %lu 4 3", p + 3 * PAGE);
}
END_TEST

/* The run reaches over five mappings, two of which cannot be moved from. */
START_TEST(test_refused_pages)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 100, 5);
        rig_do(&rig, "lock %lu", p + 20 * PAGE);
        rig_do(&rig, "readonly %lu", p + 70 * PAGE);
        rig_watch(&rig, p, 100);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 100);
        rig_evict(&rig);
        for (unsigned i = 0, slot = 0; i < 100; i++) {
                expect(b, i, i == 20 || i == 70 ? VMPAGER_RES_REFUSED : VMPAGER_RES_MOVED);
                if (i != 20 && i != 70)
                        expect_slot(slot++, 5, i);
        }
        rig_do(&rig, "check %lu 5 20", p + 20 * PAGE);
        rig_do(&rig, "check %lu 5 70", p + 70 * PAGE);
}
END_TEST

enum nonsense {
        NO_RUNS,
        EMPTY_RUN,
        UNALIGNED,
        TOO_MANY_RUNS,
        TOO_MANY_PAGES,
        FEWER_PAGES,
        MORE_PAGES,
        SLOT_BEYOND,
        SLOT_FAR_BEYOND,
        OWN_MEMORY,
        OWN_RING,
        AROUND_OWN_MEMORY,
        WRAPS,
        NONSENSES,
};

static void write_nonsense(struct vmpager_batch *b, enum nonsense kind, uint64_t p)
{
        rig_add_run(b, p, 2);
        switch (kind) {
        case NO_RUNS: b->n_runs = b->n_pages = 0; break;
        case EMPTY_RUN: rig_add_run(b, p + 4 * PAGE, 0); break;
        case UNALIGNED: b->run[0].addr += 8; break;
        case TOO_MANY_RUNS: b->n_runs = 3; break;
        case TOO_MANY_PAGES: b->n_pages = b->run[0].pages = VMPAGER_BATCH_PAGES + 1; break;
        case FEWER_PAGES: b->n_pages = 1; break;
        case MORE_PAGES: b->n_pages = 3; break;
        case SLOT_BEYOND: b->first_slot = RIG_SLOTS - 1; break;
        case SLOT_FAR_BEYOND: b->first_slot = UINT32_MAX; break;
        case OWN_MEMORY: b->run[0].addr = rig.reg.excluded[0].start + PAGE; break;
        case OWN_RING: b->run[0].addr = rig.reg.excluded[1].end - PAGE; break;
        case AROUND_OWN_MEMORY: b->run[0].addr = rig.reg.excluded[0].start - PAGE; break;
        case WRAPS: b->run[0].addr = (uint64_t)-PAGE; break;
        case NONSENSES: break;
        }
}

START_TEST(test_refused_batches)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 8, 6);
        rig_watch(&rig, p, 8);
        for (int kind = 0; kind < NONSENSES; kind++) {
                b = rig_batch(&rig, 0);
                write_nonsense(b, (enum nonsense)kind, p);
                rig_evict(&rig);
                expect_all(b, VMPAGER_BATCH_PAGES, VMPAGER_RES_REFUSED);
                ck_assert(rig_present(&rig, p) && rig_present(&rig, p + PAGE));
        }
        b = rig_batch(&rig, RIG_SLOTS - 2);
        rig_add_run(b, p, 2);
        rig_evict(&rig);
        expect_all(b, 2, VMPAGER_RES_MOVED);
        expect_slot(RIG_SLOTS - 1, 6, 1);
}
END_TEST

/* An address where nothing is mapped. */
START_TEST(test_hole)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 8, 6);
        rig_do(&rig, "unmap %lu 2", p + 2 * PAGE);
        rig_watch(&rig, p, 2);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 4);
        rig_evict(&rig);
        expect_all(b, 2, VMPAGER_RES_MOVED);
        expect(b, 2, VMPAGER_RES_FOREIGN);
        expect(b, 3, VMPAGER_RES_FOREIGN);
}
END_TEST

START_TEST(test_wrong_epoch)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 8, 7);
        rig_watch(&rig, p, 8);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 8);
        atomic_fetch_add(&rig.ring->epoch, 1);
        rig_evict(&rig);
        expect_all(b, 8, VMPAGER_RES_CANCELLED);
        for (unsigned i = 0; i < 8; i++)
                ck_assert(rig_present(&rig, p + i * PAGE));
        ck_assert_uint_eq(rig.ring->moving, 0);
}
END_TEST

/* While an event is unread the kernel refuses MOVE; the agent gives up, and can do it afterwards. */
START_TEST(test_unread_event)
{
        struct vmpager_batch *b;
        struct uffd_msg msg;
        uint64_t p;

        rig_start(&rig, UFFD_FEATURE_EVENT_UNMAP);
        p = rig_map(&rig, 8, 8);
        rig_watch(&rig, p, 8);
        rig_tell(&rig, "unmap %lu 2", p + 6 * PAGE);
        rig_wait_readable(rig.uffd);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 6);
        rig_evict(&rig);
        expect_all(b, 6, VMPAGER_RES_CANCELLED);
        ck_assert_int_eq(read(rig.uffd, &msg, sizeof(msg)), sizeof(msg));
        ck_assert_uint_eq(msg.event, UFFD_EVENT_UNMAP);
        ck_assert_str_eq(rig_answer(&rig), "ok");
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 6);
        rig_evict(&rig);
        expect_all(b, 6, VMPAGER_RES_MOVED);
}
END_TEST

/* A closed gate: the agent comes, says by the eventfd that it has left, and waits. */
START_TEST(test_gate_closed)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 8, 9);
        rig_watch(&rig, p, 8);
        atomic_store(&rig.ring->reading, 1);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 4);
        rig_add_run(b, p + 6 * PAGE, 2);
        rig_post(&rig);
        rig_wait_event(&rig);
        ck_assert_uint_eq(atomic_load(&rig.ring->moving), 0);
        ck_assert_uint_eq(rig.ring->completed, 0);
        for (unsigned i = 0; i < 8; i++)
                ck_assert(rig_present(&rig, p + i * PAGE));
        atomic_store(&rig.ring->reading, 0);
        rig_wake(&rig.ring->reading);
        rig_wait_completed(&rig);
        expect_all(b, 6, VMPAGER_RES_MOVED);
}
END_TEST

static unsigned count_present(uint64_t p, unsigned pages)
{
        unsigned n = 0;

        for (unsigned i = 0; i < pages; i++)
                n += rig_present(&rig, p + i * PAGE);
        return n;
}

/* Opens the gate until the first page of a batch is gone, closes it, and sees that nothing moves any more. */
static bool close_midway(uint64_t first, uint64_t p, unsigned pages)
{
        unsigned present;

        while (rig_present(&rig, first) && atomic_load(&rig.ring->completed) != atomic_load(&rig.ring->posted))
                sched_yield();
        atomic_store(&rig.ring->reading, 1);
        while (atomic_load(&rig.ring->moving))
                rig_wait_event(&rig);
        present = count_present(p, pages);
        for (int i = 0; i < 5; i++)
                ck_assert_uint_eq(count_present(p, pages), present);
        atomic_store(&rig.ring->reading, 0);
        rig_wake(&rig.ring->reading);
        return present > 0 && present < pages;
}

/* Rounds go on until the gate was closed in the middle of a batch often enough, but have an end on a machine where
 * the two processes share one CPU. */
START_TEST(test_gate_contended)
{
        const unsigned pages = VMPAGER_BATCH_PAGES;
        unsigned midway = 0;

        rig_start(&rig, 0);
        for (unsigned round = 0; round < 200 && midway < 20; round++) {
                uint64_t p = rig_map(&rig, pages, round + 1);
                struct vmpager_batch *b = rig_batch(&rig, 0);

                rig_watch(&rig, p, pages);
                for (unsigned i = 0; i < pages; i++)
                        rig_add_run(b, p + (i * 37 % pages) * PAGE, 1);
                rig_post(&rig);
                midway += close_midway(p, p, pages);
                rig_wait_completed(&rig);
                expect_all(b, pages, VMPAGER_RES_MOVED);
                for (unsigned i = 0; i < pages; i++)
                        expect_slot(i, round + 1, i * 37 % pages);
                rig_do(&rig, "unmap %lu %u", p, pages);
        }
        printf("test_gate_contended: closed in the middle of a batch %u times\n", midway);
}
END_TEST

/* A daemon that dies with the gate closed: the batch is cancelled, the program and its evicted pages stay. */
START_TEST(test_daemon_dies)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 8, 10);
        rig_watch(&rig, p, 8);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 4);
        rig_evict(&rig);
        expect_all(b, 4, VMPAGER_RES_MOVED);

        atomic_store(&rig.ring->reading, 1);
        b = rig_batch(&rig, 4);
        rig_add_run(b, p + 4 * PAGE, 4);
        rig_post(&rig);
        close(rig.sock);
        rig_wait_completed(&rig);
        expect_all(b, 4, VMPAGER_RES_CANCELLED);

        rig_tell(&rig, "check %lu 10 1", p + PAGE);
        serve(p + PAGE, rig_slot(&rig, 1));
        ck_assert_str_eq(rig_answer(&rig), "ok");
        rig_do(&rig, "check %lu 10 5", p + 5 * PAGE);
}
END_TEST

static pid_t compact_memory(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (pwrite(fd, "1", 1, 0) == 1)
                        ;
                _exit(1);
        }
        return pid;
}

/* The kernel moves pages from one place in memory to another meanwhile, which makes MOVE start over in the middle: no
 * page may be lost, whatever is said of it. */
START_TEST(test_compaction)
{
        const unsigned pages = VMPAGER_BATCH_PAGES;
        pid_t compactor;

        rig_start(&rig, 0);
        compactor = compact_memory();
        for (unsigned round = 0; round < 300; round++) {
                uint64_t p = rig_map(&rig, pages, round + 1);
                struct vmpager_batch *b = rig_batch(&rig, 0);
                unsigned slot = 0;

                rig_watch(&rig, p, pages);
                rig_add_run(b, p, pages);
                rig_evict(&rig);
                for (unsigned i = 0; i < pages; i++) {
                        if (b->result[i] == VMPAGER_RES_MOVED || b->result[i] == VMPAGER_RES_BARE) {
                                expect_slot(slot++, round + 1, i);
                                ck_assert(!rig_present(&rig, p + i * PAGE));
                        } else {
                                ck_assert(b->result[i] == VMPAGER_RES_BUSY || b->result[i] == VMPAGER_RES_CANCELLED);
                                rig_do(&rig, "check %lu %u %u", p + i * PAGE, round + 1, i);
                        }
                }
                rig_do(&rig, "unmap %lu %u", p, pages);
        }
        kill(compactor, SIGKILL);
        waitpid(compactor, NULL, 0);
}
END_TEST

/* mlockall() fills and locks staging with everything else; the program then unlocks what is its own. */
START_TEST(test_staging_locked)
{
        struct vmpager_batch *b;
        uint64_t p;

        rig_start(&rig, 0);
        p = rig_map(&rig, 8, 11);
        rig_do(&rig, "lockall %lu", p);
        ck_assert(rig_present(&rig, rig.reg.staging));
        rig_do(&rig, "unlock %lu", p + 2 * PAGE);
        rig_watch(&rig, p, 8);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p + 2 * PAGE, 1);
        rig_evict(&rig);
        expect(b, 0, VMPAGER_RES_MOVED);
        expect_slot(0, 11, 2);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("agent");
        TCase *tc = tcase_create("batches");
        SRunner *runner;
        int failed;

        if (rig_missing()) {
                printf("test-agent: skipped: %s\n", rig_missing());
                return 77;
        }
        tcase_set_timeout(tc, 60);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_bytes);
        tcase_add_test(tc, test_full_ring);
        tcase_add_test(tc, test_shared);
        tcase_add_test(tc, test_pinned);
        tcase_add_test(tc, test_refused_pages);
        tcase_add_test(tc, test_refused_batches);
        tcase_add_test(tc, test_hole);
        tcase_add_test(tc, test_wrong_epoch);
        tcase_add_test(tc, test_unread_event);
        tcase_add_test(tc, test_gate_closed);
        tcase_add_test(tc, test_gate_contended);
        tcase_add_test(tc, test_daemon_dies);
        tcase_add_test(tc, test_compaction);
        tcase_add_test(tc, test_staging_locked);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
