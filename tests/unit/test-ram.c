// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tier in memory: what was put is what is read, whatever was dropped beside it; each byte is accounted for; the
 * order of age; ends of owners; and that memory is lost to rounding alone, and goes back when it is free.
 */
#include "store/ram.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "store/ram-pack.h"
#include "unit-run.h"

#define HEAD_BYTES 40u

#define expect(condition)                               \
        do {                                            \
                if (!(condition))                       \
                        ck_abort_msg("%s", #condition); \
        } while (0)

static struct ram *ram;

static void start(void)
{
        unit_random_start();
        ck_assert_int_eq(ram_new(UINT64_MAX, &ram), 0);
}

static void stop(void)
{
        ram_free(ram);
}

static struct ram_owner *owner_new(uint64_t limit)
{
        struct ram_owner *owner = NULL;

        ck_assert_int_eq(ram_owner_new(ram, limit, &owner), 0);
        return owner;
}

static struct ram_stats stats(void)
{
        struct ram_stats s;

        ram_stats(ram, &s);
        return s;
}

/* Bytes that only this object has: no two of 8 bytes are alike. */
static void fill(unsigned char *data, uint64_t serial, uint32_t bytes)
{
        for (uint32_t i = 0; i < bytes; i++)
                data[i] = (unsigned char)((serial * 2654435761u + i / 8 * 40503u) >> i % 8 * 4);
}

static struct ram_object *put(struct ram_owner *owner, uint64_t where, uint64_t serial, uint32_t bytes)
{
        unsigned char data[STORE_PAGE];

        fill(data, serial, bytes);
        return ram_put(owner, where, bytes, data);
}

static bool is(const struct ram_object *object, uint64_t where, uint64_t serial, uint32_t bytes)
{
        unsigned char want[STORE_PAGE], got[STORE_PAGE];

        fill(want, serial, bytes);
        return ram_get(ram, object, where, got) == (int)bytes && memcmp(got, want, bytes) == 0;
}

static uint64_t cost(uint32_t bytes)
{
        return (bytes + 8 + 31) / 32 * 32 + HEAD_BYTES;
}

/* Sizes as pages have when they are packed: few very small ones, most between a quarter and three quarters. */
static uint32_t draw_size(void)
{
        return (uint32_t)(unit_random(10) ? 100 + unit_random(1700) + unit_random(1700) : 1 + unit_random(STORE_PAGE));
}

START_TEST(test_cost)
{
        for (uint32_t bytes = 1; bytes <= STORE_PAGE; bytes++)
                ck_assert_uint_eq(ram_cost(bytes), cost(bytes));
}
END_TEST

/* Each size, over the ends of slabs and back. */
START_TEST(test_sizes)
{
        static struct ram_object *objects[STORE_PAGE + 1][9];
        struct ram_owner *owner = owner_new(UINT64_MAX);
        unsigned char byte = 1, out[STORE_PAGE];

        for (unsigned n = 0; n < 9; n++)
                for (uint32_t bytes = 1; bytes <= STORE_PAGE; bytes++) {
                        objects[bytes][n] = put(owner, bytes, bytes * 16 + n, bytes);
                        expect(objects[bytes][n]);
                }
        for (unsigned n = 0; n < 9; n++)
                for (uint32_t bytes = STORE_PAGE; bytes; bytes--) {
                        expect(is(objects[bytes][n], bytes, bytes * 16 + n, bytes));
                        ram_drop(ram, objects[bytes][n]);
                }
        ck_assert_uint_eq(stats().objects, 0);
        ck_assert_uint_eq(stats().data_bytes, 0);
        ck_assert_uint_eq(stats().bytes, 0);
        objects[1][0] = ram_put(owner, 0, 1, &byte); /* 0 is a location like any other */
        ck_assert_int_eq(ram_get(ram, objects[1][0], 0, out), 1);
        ram_drop(ram, objects[1][0]);
        ram_owner_end(owner);
}
END_TEST

struct entry {
        struct ram_object *object;
        uint64_t where, serial;
        uint32_t bytes;
        unsigned owner;
};

/* Puts and drops at random; all of it is compared with what it should be. */
START_TEST(test_random)
{
        enum { ENTRIES = 3000, STEPS = 60000, OWNERS = 3 };
        static struct entry entries[ENTRIES];
        struct ram_owner *owners[OWNERS];
        uint64_t charged[OWNERS] = { 0 }, data = 0, objects = 0;

        for (unsigned i = 0; i < OWNERS; i++)
                owners[i] = owner_new(UINT64_MAX);
        for (uint64_t step = 0; step < STEPS; step++) {
                struct entry *e = &entries[unit_random(ENTRIES)];

                if (e->object) {
                        expect(is(e->object, e->where, e->serial, e->bytes));
                        ram_drop(ram, e->object);
                        charged[e->owner] -= cost(e->bytes);
                        data -= e->bytes;
                        objects--;
                        e->object = NULL;
                } else {
                        *e = (struct entry){ NULL, unit_random(UINT64_MAX), step, draw_size(),
                                             (unsigned)unit_random(OWNERS) };
                        e->object = put(owners[e->owner], e->where, step, e->bytes);
                        expect(e->object);
                        charged[e->owner] += cost(e->bytes);
                        data += e->bytes;
                        objects++;
                }
                if (step % 64 == 0) {
                        struct ram_stats s = stats();

                        expect(s.objects == objects && s.data_bytes == data && s.ended_bytes == 0);
                        expect(s.bytes == charged[0] + charged[1] + charged[2]);
                        for (unsigned i = 0; i < OWNERS; i++)
                                expect(ram_owner_bytes(owners[i]) == charged[i]);
                }
        }
        for (unsigned i = 0; i < ENTRIES; i++)
                if (entries[i].object) {
                        expect(is(entries[i].object, entries[i].where, entries[i].serial, entries[i].bytes));
                        ram_drop(ram, entries[i].object);
                }
        ck_assert_uint_eq(stats().bytes, 0);
        for (unsigned i = 0; i < OWNERS; i++)
                ram_owner_end(owners[i]);
}
END_TEST

START_TEST(test_limit)
{
        struct ram_owner *owner = owner_new(3 * cost(1000)), *other = owner_new(0), *third;
        struct ram_object *objects[3], *small;
        struct ram *tight = NULL;

        for (unsigned i = 0; i < 3; i++) {
                objects[i] = put(owner, i, i, 1000);
                ck_assert_ptr_nonnull(objects[i]);
        }
        ck_assert_uint_eq(ram_owner_bytes(owner), 3 * cost(1000));
        ck_assert_ptr_null(put(owner, 9, 9, 1));
        ck_assert_ptr_null(put(other, 9, 9, 1));
        ram_drop(ram, objects[1]);
        ck_assert_ptr_null(put(owner, 9, 9, 1017)); /* the next class */
        objects[1] = put(owner, 1, 1, 1000);
        ck_assert_ptr_nonnull(objects[1]);

        ram_owner_limit(owner, cost(1000)); /* what is there stays */
        for (unsigned i = 0; i < 3; i++)
                ck_assert(is(objects[i], i, i, 1000));
        ram_drop(ram, objects[0]);
        ram_drop(ram, objects[1]);
        ck_assert_ptr_null(put(owner, 9, 9, 1));
        ram_owner_limit(owner, UINT64_MAX);
        small = put(owner, 9, 9, 1);
        ck_assert_ptr_nonnull(small);
        ram_drop(ram, small);
        ram_drop(ram, objects[2]);
        ram_owner_end(owner);
        ram_owner_end(other);
        ram_owner_end(NULL);

        /* the limit of all */
        ck_assert_int_eq(ram_new(2 * cost(500), &tight), 0);
        ck_assert_int_eq(ram_owner_new(tight, UINT64_MAX, &owner), 0);
        ck_assert_int_eq(ram_owner_new(tight, UINT64_MAX, &third), 0);
        objects[0] = put(owner, 0, 0, 500);
        objects[1] = put(third, 1, 1, 500);
        ck_assert(objects[0] && objects[1]);
        ck_assert_ptr_null(put(owner, 2, 2, 1));
        ram_drop(tight, objects[1]);
        objects[1] = put(owner, 2, 2, 500);
        ck_assert_ptr_nonnull(objects[1]);
        ram_owner_end(third);
        ram_owner_end(owner);
        ram_free(tight);
        ram_free(NULL);
}
END_TEST

/* The oldest come first, once, up to so many and so many bytes; those that were not written are the oldest again. */
START_TEST(test_age)
{
        struct ram_owner *owner = owner_new(UINT64_MAX);
        struct ram_object *objects[10];
        struct ram_old old[16];

        ck_assert_uint_eq(ram_oldest(ram, owner, old, 16, UINT64_MAX), 0);
        for (unsigned i = 0; i < 10; i++)
                objects[i] = put(owner, 100 + i, i, 1000);
        ck_assert_uint_eq(ram_oldest(ram, owner, old, 16, 999), 0);
        ck_assert_uint_eq(ram_oldest(ram, owner, old, 3, UINT64_MAX), 3);
        ck_assert_uint_eq(ram_oldest(ram, owner, old + 3, 16, 2999), 2);
        for (unsigned i = 0; i < 5; i++) {
                ck_assert_ptr_eq(old[i].object, objects[i]);
                ck_assert_uint_eq(old[i].where, 100 + i);
                ck_assert_uint_eq(old[i].bytes, 1000);
                ck_assert(is(old[i].object, 100 + i, i, 1000));
        }
        ck_assert_uint_eq(ram_owner_bytes(owner), 10 * cost(1000));

        ram_drop(ram, objects[0]); /* written */
        ck_assert_uint_eq(ram_owner_bytes(owner), 10 * cost(1000));
        ram_release(ram, objects[0]);
        ck_assert_uint_eq(ram_owner_bytes(owner), 9 * cost(1000));
        for (unsigned i = 4; i > 1; i--) /* not written */
                ram_release(ram, objects[i]);
        ram_drop(ram, objects[6]); /* of the others one goes by itself */

        static const unsigned order[] = { 2, 3, 4, 5, 7, 8, 9 };

        ck_assert_uint_eq(ram_oldest(ram, owner, old, 16, UINT64_MAX), 7);
        for (unsigned i = 0; i < 7; i++) {
                ck_assert_ptr_eq(old[i].object, objects[order[i]]);
                ram_drop(ram, old[i].object);
                ram_release(ram, old[i].object);
        }
        ck_assert_uint_eq(stats().objects, 1);
        ram_release(ram, objects[1]);
        ck_assert(is(objects[1], 101, 1, 1000));
        ram_drop(ram, objects[1]);
        ck_assert_uint_eq(stats().bytes, 0);
        ram_owner_end(owner);
}
END_TEST

/* An object that is dropped while it is held is none any more, and nothing else comes in its place until the end. */
START_TEST(test_held)
{
        struct ram_owner *owner = owner_new(UINT64_MAX);
        struct ram_object *object = put(owner, 5, 1, 700), *others[2000];
        unsigned char out[STORE_PAGE];
        struct ram_old old;

        ck_assert_uint_eq(ram_oldest(ram, owner, &old, 1, UINT64_MAX), 1);
        ck_assert(is(object, 5, 1, 700));
        ram_drop(ram, object);
        ck_assert_int_eq(ram_get(ram, object, 5, out), -ENOENT);
        for (unsigned i = 0; i < 2000; i++) {
                others[i] = put(owner, 5, i, 700);
                ck_assert_ptr_ne(others[i], object);
        }
        ram_release(ram, object);
        ck_assert_int_eq(ram_get(ram, object, 5, out), -ENOENT);
        object = put(owner, 6, 3, 700);
        ck_assert_int_eq(ram_get(ram, object, 5, out), -ENOENT); /* another location's now */
        ck_assert(is(object, 6, 3, 700));
        ram_drop(ram, object);
        for (unsigned i = 0; i < 2000; i++)
                ram_drop(ram, others[i]);
        for (unsigned i = 0; i < 2000; i++) /* their memory may have gone back to the system */
                ck_assert_int_eq(ram_get(ram, others[i], 5, out), -ENOENT);
        ram_owner_end(owner);
}
END_TEST

START_TEST(test_end_of_owner)
{
        struct ram_owner *first = owner_new(2 * cost(800)), *second = owner_new(UINT64_MAX), *living = owner_new(9999);
        struct ram_object *a = put(first, 1, 1, 800), *b = put(first, 2, 2, 800), *c = put(second, 3, 3, 900),
                          *d = put(living, 4, 4, 900);
        struct ram_old old[8];

        ck_assert_uint_eq(ram_oldest(ram, NULL, old, 8, UINT64_MAX), 0);
        ram_owner_end(first);
        ck_assert_uint_eq(stats().ended_bytes, 2 * cost(800));
        ck_assert_uint_eq(ram_oldest(ram, second, old, 8, UINT64_MAX), 1); /* held while its owner ends */
        ram_owner_end(second);
        ck_assert_uint_eq(stats().ended_bytes, 2 * cost(800) + cost(900));
        ck_assert(is(a, 1, 1, 800) && is(b, 2, 2, 800) && is(c, 3, 3, 900) && is(d, 4, 4, 900));
        ram_release(ram, c);

        ck_assert_uint_eq(ram_oldest(ram, NULL, old, 8, 1600 + 899), 2);
        ck_assert_ptr_eq(old[0].object, a);
        ck_assert_ptr_eq(old[1].object, b);
        ck_assert_uint_eq(ram_oldest(ram, NULL, old + 2, 8, UINT64_MAX), 1);
        ck_assert_ptr_eq(old[2].object, c);
        ck_assert_uint_eq(ram_oldest(ram, NULL, old + 3, 5, UINT64_MAX), 0);
        for (unsigned i = 0; i < 3; i++) {
                ram_release(ram, old[i].object);
                ram_drop(ram, old[i].object);
        }
        ck_assert_uint_eq(stats().ended_bytes, 0);
        ck_assert_uint_eq(stats().bytes, cost(900));
        ram_owner_end(living);
        ck_assert_uint_eq(stats().ended_bytes, cost(900));
        ck_assert(is(d, 4, 4, 900));
        ram_drop(ram, d);
        ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

/* The kernel's word for how much memory the process has. */
static uint64_t resident(void)
{
        FILE *f = fopen("/proc/self/statm", "re");
        unsigned long all, in = 0;

        ck_assert_ptr_nonnull(f);
        ck_assert_int_eq(fscanf(f, "%lu %lu", &all, &in), 2);
        fclose(f);
        return in * UINT64_C(4096);
}

/* A mix of sizes, then churn, then less and less of it: what is lost, and what goes back to the system. */
START_TEST(test_waste)
{
        enum { N = 60000 };
        static struct entry e[N];
        struct ram_owner *owner = owner_new(UINT64_MAX);
        uint64_t before, full, fixed = (PACK_CLASSES + 2 * 16 + 1) * (uint64_t)SLAB_BYTES;
        struct ram_stats s, churned;
        bool locked = mlockall(MCL_FUTURE | MCL_ONFAULT) == 0; /* as the daemon does it */

        memset(e, 1, sizeof(e));
        before = resident();
        for (unsigned i = 0; i < N; i++) {
                e[i] = (struct entry){ NULL, i, i, draw_size(), 0 };
                e[i].object = put(owner, i, i, e[i].bytes);
        }
        s = stats();
        full = resident() - before;
        for (unsigned i = 0; i < 2 * N; i++) {
                struct entry *x = &e[unit_random(N)];

                ram_drop(ram, x->object);
                x->bytes = draw_size();
                x->object = put(owner, x->where, x->serial, x->bytes);
                expect(x->object);
        }
        churned = stats();
        printf("%s: %u objects, %llu bytes each: charged %+.2f %%, resident %+.2f %%, the kernel's count %+.2f %%; "
               "after churn: charged %+.2f %%, resident %+.2f %%\n",
               locked ? "locked" : "not locked", N, (unsigned long long)(s.data_bytes / N),
               100.0 * (double)s.bytes / (double)s.data_bytes - 100,
               100.0 * (double)s.resident_bytes / (double)s.data_bytes - 100,
               100.0 * (double)full / (double)s.data_bytes - 100,
               100.0 * (double)churned.bytes / (double)churned.data_bytes - 100,
               100.0 * (double)churned.resident_bytes / (double)churned.data_bytes - 100);
        /* a head, a tag and half a step are 64 bytes */
        ck_assert_uint_le(s.bytes, s.data_bytes + N * UINT64_C(65));
        ck_assert_uint_le(s.resident_bytes, s.bytes + fixed + s.bytes / 1000);
        ck_assert_uint_le(churned.resident_bytes, churned.bytes + fixed + churned.bytes / 16);

        /* nine of ten go, at random */
        for (unsigned i = 0; i < N; i++)
                if (unit_random(10)) {
                        ram_drop(ram, e[i].object);
                        e[i].object = NULL;
                }
        s = stats();
        printf("a tenth left: %llu KiB charged, %llu resident; of %llu that the process had more, it has %lld\n",
               (unsigned long long)s.bytes / 1024, (unsigned long long)s.resident_bytes / 1024,
               (unsigned long long)full / 1024, ((long long)resident() - (long long)before) / 1024);
        /* heads do not move: of those a slab may stay for each that is left */
        ck_assert_uint_le(s.resident_bytes, s.bytes + fixed + s.bytes / 16 + N * (uint64_t)HEAD_BYTES * 2);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        ck_assert_int_le((int64_t)resident() - (int64_t)before, (int64_t)full * 2 / 5);
#endif
        for (unsigned i = 0; i < N; i++)
                if (e[i].object) {
                        expect(is(e[i].object, e[i].where, e[i].serial, e[i].bytes));
                        ram_drop(ram, e[i].object);
                }
        ck_assert_uint_eq(stats().bytes, 0);
        ck_assert_uint_le(stats().resident_bytes, 2 * 16 * SLAB_BYTES);
        ram_owner_end(owner);
}
END_TEST

#define THREADS 4

static void *busy(void *arg)
{
        struct ram_owner *owner = owner_new(400 * cost(2000));
        struct entry e[500] = { { 0 } };
        uint64_t state = (uint64_t)(uintptr_t)arg + 12345;
        struct ram_old old[8];

        for (uint64_t step = 0; step < 30000; step++) {
                struct entry *x;

                state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
                x = &e[(state >> 33) % 500];
                if (x->object) {
                        expect(is(x->object, x->where, x->serial, x->bytes));
                        ram_drop(ram, x->object);
                        x->object = NULL;
                } else {
                        *x = (struct entry){ NULL, state, step, 1 + (uint32_t)(state >> 40) % STORE_PAGE, 0 };
                        x->object = put(owner, x->where, x->serial, x->bytes);
                }
                if (step % 16 == 0) {
                        unsigned n = ram_oldest(ram, owner, old, 8, 9000);

                        for (unsigned i = n; i > 0; i--)
                                ram_release(ram, old[i - 1].object);
                }
        }
        expect(ram_owner_bytes(owner) <= 400 * cost(2000));
        ram_owner_end(owner);
        for (unsigned i = 0; i < 500; i++)
                if (e[i].object) {
                        expect(is(e[i].object, e[i].where, e[i].serial, e[i].bytes));
                        ram_drop(ram, e[i].object);
                }
        return NULL;
}

START_TEST(test_threads)
{
        pthread_t threads[THREADS];

        for (uintptr_t i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, busy, (void *)i), 0);
        for (unsigned i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(stats().objects, 0);
        ck_assert_uint_eq(stats().bytes, 0);
        ck_assert_uint_eq(stats().ended_bytes, 0);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("ram");

        tcase_set_timeout(tc, 120);
        tcase_add_checked_fixture(tc, start, stop);
        tcase_add_test(tc, test_cost);
        tcase_add_test(tc, test_sizes);
        tcase_add_test(tc, test_random);
        tcase_add_test(tc, test_limit);
        tcase_add_test(tc, test_age);
        tcase_add_test(tc, test_held);
        tcase_add_test(tc, test_end_of_owner);
        tcase_add_test(tc, test_waste);
        tcase_add_test(tc, test_threads);
        return unit_run("ram", tc);
}
