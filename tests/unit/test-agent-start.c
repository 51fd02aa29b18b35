/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the preload library begins: what it hides from the program, whom it finds, and how it refuses. */
#include <dirent.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "agent-rig.h"

#define EXIT_REFUSED 125
#define NOBODY       65534

static struct rig rig;
static char text[1024];

/* The value of a line such as "CapEff:\t0000" in a thread's status. */
static const char *status_of(unsigned tid, const char *key)
{
        static char line[256];
        char path[64];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%u/status", rig.pid, tid);
        file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        while (fgets(line, sizeof(line), file)) {
                if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
                        fclose(file);
                        line[strcspn(line, "\n")] = '\0';
                        return line + strlen(key) + 2;
                }
        }
        ck_abort_msg("no %s in %s", key, path);
        return NULL;
}

/* What the descriptors of a thread are, in one text. */
static unsigned descriptors(unsigned tid, char *list, size_t size)
{
        char path[64], target[256];
        struct dirent *e;
        unsigned n = 0;
        size_t at = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task/%u/fd", rig.pid, tid);
        dir = opendir(path);
        ck_assert_ptr_nonnull(dir);
        while ((e = readdir(dir))) {
                ssize_t length = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

                if (e->d_name[0] == '.')
                        continue;
                ck_assert_int_gt(length, 0);
                target[length] = '\0';
                at += (size_t)snprintf(list + at, size - at, "%s ", target);
                n++;
        }
        closedir(dir);
        return n;
}

/* What the program sees at the start of main() is what it would see without the library. */
START_TEST(test_nothing_visible)
{
        char expected[2048];

        rig_listen(&rig);
        rig_spawn(&rig, "SOMETHING=else");
        rig_handshake(&rig);
        snprintf(expected, sizeof(expected), "begin errno=0 mask=0 fd=3 LD_PRELOAD=%s VMPAGER_SOCKET=%s "
                 "SOMETHING=else\n", RIG_LIBRARY, rig_socket());
        ck_assert_str_eq(rig.begin, expected);
}
END_TEST

START_TEST(test_own_descriptors)
{
        char list[1024];

        rig_start(&rig, 0);
        ck_assert_uint_eq(descriptors((unsigned)rig.pid, list, sizeof(list)), 3);
        ck_assert_msg(!strstr(list, "socket") && !strstr(list, "anon_inode") && !strstr(list, "memfd"), "%s", list);
        ck_assert_uint_eq(descriptors(atomic_load(&rig.ring->tid), list, sizeof(list)), 4);
        ck_assert_msg(strstr(list, "socket:") && strstr(list, "[userfaultfd]") && strstr(list, "[eventfd]"),
                      "%s", list);
        ck_assert_str_eq(status_of(atomic_load(&rig.ring->tid), "Name"), "vmpager-agent");
}
END_TEST

/* The agent's memory is excluded, staging lies in it, and nothing that is writable stands next to it. */
START_TEST(test_own_memory)
{
        char path[64], line[512];
        const struct vmpager_range *own = &rig.reg.excluded[0];
        unsigned parts = 0;
        FILE *file;

        rig_start(&rig, 0);
        ck_assert_uint_eq(rig.reg.n_excluded, 2);
        ck_assert_uint_gt(rig.reg.staging, own->start);
        ck_assert_uint_lt(rig.reg.staging + VMPAGER_BATCH_PAGES * PAGE, own->end);
        snprintf(path, sizeof(path), "/proc/%d/maps", rig.pid);
        file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        while (fgets(line, sizeof(line), file)) {
                unsigned long start, end;
                char access[8];

                ck_assert_int_eq(sscanf(line, "%lx-%lx %7s", &start, &end, access), 3);
                if (access[1] != 'w' || start >= own->end || end <= own->start)
                        continue;
                ck_assert(start > own->start && end < own->end);
                parts++;
        }
        fclose(file);
        ck_assert_uint_eq(parts, 3);
}
END_TEST

/* Of all capabilities only those are left with which glibc makes every thread follow a setuid(2), and they go with it.
 * Without them glibc would abort the program here. */
START_TEST(test_becomes_nobody)
{
        const unsigned long long ids = 1ull << 6 | 1ull << 7; /* CAP_SETGID, CAP_SETUID */

        rig_start(&rig, 0);
        ck_assert_uint_eq(strtoull(status_of(atomic_load(&rig.ring->tid), "CapPrm"), NULL, 16) & ~ids, 0);
        ck_assert_uint_eq(strtoull(status_of(atomic_load(&rig.ring->tid), "CapEff"), NULL, 16) & ~ids, 0);
        ck_assert_uint_eq(strtoull(status_of(atomic_load(&rig.ring->tid), "CapInh"), NULL, 16), 0);
        rig_do(&rig, "become %u", NOBODY);
        ck_assert_str_eq(status_of(atomic_load(&rig.ring->tid), "Uid"), "65534\t65534\t65534\t65534");
        ck_assert_str_eq(status_of(atomic_load(&rig.ring->tid), "Gid"), "65534\t65534\t65534\t65534");
        ck_assert_str_eq(status_of(atomic_load(&rig.ring->tid), "CapPrm"), "0000000000000000");
        ck_assert_str_eq(status_of(atomic_load(&rig.ring->tid), "CapEff"), "0000000000000000");
}
END_TEST

static void copy_file(const char *from, const char *to)
{
        struct stat st;
        int in = open(from, O_RDONLY | O_CLOEXEC);
        int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

        ck_assert(in >= 0 && out >= 0 && fstat(in, &st) == 0);
        ck_assert_int_eq(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
        close(in);
        close(out);
}

/* A user without any right, in whose reach library, program and socket are; the socket is found beside the library. */
START_TEST(test_unprivileged)
{
        char preload[600];
        char *env[] = { preload, NULL };
        struct vmpager_batch *b;
        uint64_t p;

        temp_dir_make_in("/tmp");
        ck_assert_int_eq(chmod(temp_dir, 0755), 0);
        copy_file(RIG_LIBRARY, temp_path("library.so"));
        copy_file(RIG_CHILD, temp_path("program"));
        snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", temp_path("library.so"));
        rig_listen(&rig);
        rig_exec(&rig, temp_path("program"), env, NOBODY);
        rig_handshake(&rig);
        temp_dir_remove();

        ck_assert_str_eq(status_of(atomic_load(&rig.ring->tid), "CapPrm"), "0000000000000000");
        p = rig_map(&rig, 4, 1);
        rig_watch(&rig, p, 4);
        b = rig_batch(&rig, 0);
        rig_add_run(b, p, 4);
        rig_evict(&rig);
        for (unsigned i = 0; i < 4; i++) {
                ck_assert_uint_eq(b->result[i], VMPAGER_RES_MOVED);
                ck_assert(pattern_matches(rig_slot(&rig, i), 1, i));
        }
}
END_TEST

/* A private daemon's directory: a link to the library beside the socket. */
START_TEST(test_beside_library)
{
        char preload[600];
        char *env[] = { preload, NULL };

        unlink(temp_path("library.so"));
        ck_assert_int_eq(symlink(RIG_LIBRARY, temp_path("library.so")), 0);
        snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", temp_path("library.so"));
        rig_listen(&rig);
        rig_exec(&rig, RIG_CHILD, env, 0);
        rig_handshake(&rig);
        rig_do(&rig, "zero %lu", rig_map(&rig, 1, 1));
}
END_TEST

static void expect_refusal(const char *reason)
{
        char expected[sizeof(text)];

        ck_assert_int_eq(rig_end(&rig, text, sizeof(text)), EXIT_REFUSED);
        snprintf(expected, sizeof(expected), "vmpager: agent-child: %s\n", reason);
        ck_assert_str_eq(text, expected);
}

START_TEST(test_refuse)
{
        struct vmpager_refuse refuse = { .text = "too many clients: raise the limit" };

        rig_listen(&rig);
        rig_spawn(&rig, NULL);
        rig_accept(&rig);
        rig_send(&rig, &refuse, sizeof(refuse), VMPAGER_REFUSE, -1);
        expect_refusal("too many clients: raise the limit");
}
END_TEST

/* Refused after the agent has mapped and registered everything; the text is not trusted. */
START_TEST(test_refuse_late)
{
        struct vmpager_refuse refuse;

        memset(&refuse, 'x', sizeof(refuse));
        refuse.hdr.magic = 0;
        refuse.text[3] = '\n';
        rig_listen(&rig);
        rig_spawn(&rig, NULL);
        rig_accept(&rig);
        rig_offer(&rig);
        rig_register(&rig);
        rig_send(&rig, &refuse, sizeof(refuse), VMPAGER_REFUSE, -1);
        ck_assert_int_eq(rig_end(&rig, text, sizeof(text)), EXIT_REFUSED);
        ck_assert_msg(strncmp(text, "vmpager: agent-child: xxx xxxx", 30) == 0, "%s", text);
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(test_refuse_optional)
{
        struct vmpager_refuse refuse = { .text = "no: reason" };
        char path[64], *line;
        struct dirent *e;
        unsigned threads = 0;
        DIR *dir;

        rig_listen(&rig);
        rig_spawn(&rig, "VMPAGER_OPTIONAL=1");
        rig_accept(&rig);
        rig_send(&rig, &refuse, sizeof(refuse), VMPAGER_REFUSE, -1);
        rig_begin(&rig);
        ck_assert(strncmp(rig.begin, "begin errno=0 mask=0 fd=3 ", 26) == 0);
        snprintf(path, sizeof(path), "/proc/%d/task", rig.pid);
        dir = opendir(path);
        ck_assert_ptr_nonnull(dir);
        while ((e = readdir(dir)))
                threads += e->d_name[0] != '.';
        closedir(dir);
        ck_assert_uint_eq(threads, 1);
        rig_tell(&rig, "map 1 1");
        line = rig_answer(&rig);
        ck_assert_uint_ne(strtoull(line, NULL, 10), 0);
        ck_assert_int_eq(rig_end(&rig, text, sizeof(text)), 0);
        ck_assert_str_eq(text, "vmpager: agent-child: no: reason\n");
}
END_TEST

START_TEST(test_no_daemon)
{
        char reason[1024];

        unlink(rig_socket());
        rig_spawn(&rig, NULL);
        snprintf(reason, sizeof(reason), "%s: no vmpagerd is running there (No such file or directory): "
                 "start vmpagerd, or name its socket in VMPAGER_SOCKET", rig_socket());
        expect_refusal(reason);
        rig_listen(&rig);
        close(rig.listener);
        rig_spawn(&rig, NULL);
        snprintf(reason, sizeof(reason), "%s: no vmpagerd is running there (Connection refused): "
                 "start vmpagerd, or name its socket in VMPAGER_SOCKET", rig_socket());
        expect_refusal(reason);
}
END_TEST

START_TEST(test_no_daemon_optional)
{
        unlink(rig_socket());
        rig_spawn(&rig, "VMPAGER_OPTIONAL=1");
        rig_begin(&rig);
        ck_assert_int_eq(rig_end(&rig, text, sizeof(text)), 0);
        ck_assert_msg(strstr(text, "no vmpagerd is running there"), "%s", text);
}
END_TEST

START_TEST(test_long_path)
{
        char preload[PATH_MAX + 16], name[256];
        char *env[] = { preload, name, NULL };

        snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", RIG_LIBRARY);
        snprintf(name, sizeof(name), "VMPAGER_SOCKET=/%0120d", 0);
        rig_exec(&rig, RIG_CHILD, env, 0);
        expect_refusal("the path of vmpagerd's socket is too long: use one of at most 107 characters");
}
END_TEST

START_TEST(test_other_version)
{
        struct vmpager_offer offer = { .hdr = { VMPAGER_MAGIC, VMPAGER_PROTOCOL_MAJOR + 1, 3, VMPAGER_OFFER, 0,
                                                sizeof(offer) } };
        char reason[1024];

        rig_listen(&rig);
        rig_spawn(&rig, NULL);
        rig_accept(&rig);
        rig_send(&rig, &offer, sizeof(offer), VMPAGER_OFFER, -1);
        snprintf(reason, sizeof(reason), "the library speaks protocol %d.%d, vmpagerd at %s %d.3: "
                 "install both from the same build", VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR, rig_socket(),
                 VMPAGER_PROTOCOL_MAJOR + 1);
        expect_refusal(reason);
}
END_TEST

/* An offer without a descriptor, and of sizes that cannot be. */
START_TEST(test_bad_offer)
{
        const struct vmpager_offer bad[] = {
                { .ring_bytes = VMPAGER_RING_BYTES(RIG_SLOTS), .staging_pages = 1 },
                { .ring_bytes = VMPAGER_RING_BYTES(RIG_SLOTS), .staging_pages = 0 },
                { .ring_bytes = VMPAGER_RING_BYTES(RIG_SLOTS), .staging_pages = VMPAGER_BATCH_PAGES + 1 },
                { .ring_bytes = VMPAGER_RING_BYTES(0), .staging_pages = 1 },
                { .ring_bytes = VMPAGER_RING_BYTES(1) + 1, .staging_pages = 1 },
                { .ring_bytes = VMPAGER_RING_BYTES(VMPAGER_RING_SLOTS_MAX + 1), .staging_pages = 1 },
        };
        struct vmpager_offer offer = bad[_i];
        char reason[1024];
        int device = _i == 0 ? -1 : open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

        rig_listen(&rig);
        rig_spawn(&rig, NULL);
        rig_accept(&rig);
        rig_send(&rig, &offer, sizeof(offer), VMPAGER_OFFER, device);
        snprintf(reason, sizeof(reason), "%s: vmpagerd's offer makes no sense: install both from the same build",
                 rig_socket());
        expect_refusal(reason);
}
END_TEST

START_TEST(test_hangs_up)
{
        rig_listen(&rig);
        rig_spawn(&rig, NULL);
        rig_accept(&rig);
        rig_offer(&rig);
        rig_register(&rig);
        close(rig.sock);
        ck_assert_int_eq(rig_end(&rig, text, sizeof(text)), EXIT_REFUSED);
        ck_assert_msg(strstr(text, "hung up during the handshake"), "%s", text);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("agent-start");
        TCase *tc = tcase_create("start");
        SRunner *runner;
        int failed;

        if (rig_missing()) {
                printf("test-agent-start: skipped: %s\n", rig_missing());
                return 77;
        }
        tcase_set_timeout(tc, 60);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_nothing_visible);
        tcase_add_test(tc, test_own_descriptors);
        tcase_add_test(tc, test_own_memory);
        tcase_add_test(tc, test_becomes_nobody);
        tcase_add_test(tc, test_unprivileged);
        tcase_add_test(tc, test_beside_library);
        tcase_add_test(tc, test_refuse);
        tcase_add_test(tc, test_refuse_late);
        tcase_add_test(tc, test_refuse_optional);
        tcase_add_test(tc, test_no_daemon);
        tcase_add_test(tc, test_no_daemon_optional);
        tcase_add_test(tc, test_long_path);
        tcase_add_test(tc, test_other_version);
        tcase_add_loop_test(tc, test_bad_offer, 0, 6);
        tcase_add_test(tc, test_hangs_up);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
