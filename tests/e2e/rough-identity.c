// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that give privileges away: user, groups, capabilities, the right to new privileges. The agent has to follow,
 * and glibc's way to make all threads follow (a signal to each, and waiting for all) has to pass by it. See rough.h.
 */
#include "rough.h"

#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#define NOBODY 65534

static void check_thread(const char *tid, unsigned uid, bool bare)
{
        char path[300], line[256];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
        f = fopen(path, "re");
        rough_must(f);
        while (fgets(line, sizeof(line), f)) {
                unsigned long long caps = 0;
                unsigned u[4];

                if (sscanf(line, "Uid: %u %u %u %u", &u[0], &u[1], &u[2], &u[3]) == 4)
                        for (int i = 0; i < 4; i++)
                                if (u[i] != uid)
                                        rough_wrong("thread %s has %s", tid, line);
                if (bare && (sscanf(line, "CapPrm: %llx", &caps) == 1 || sscanf(line, "CapEff: %llx", &caps) == 1) &&
                    caps)
                        rough_wrong("thread %s has %s", tid, line);
        }
        fclose(f);
}

/* Every thread has that user as all four of its own, and no capability if it is to be bare. */
static void check_threads(unsigned uid, bool bare)
{
        DIR *dir = opendir("/proc/self/task");
        struct dirent *entry;
        unsigned n = 0;

        rough_must(dir);
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.') {
                        check_thread(entry->d_name, uid, bare);
                        n++;
                }
        closedir(dir);
        rough_must(n > n_parts); /* all of ours and the agent */
}

static void become_nobody(void)
{
        gid_t none = NOBODY;

        rough_must(setgroups(1, &none) == 0);
        rough_must(setgid(NOBODY) == 0);
        rough_must(setuid(NOBODY) == 0);
        check_threads(NOBODY, true);
        rough_must(setuid(0) < 0 && errno == EPERM);
}

static void become_by_all_names(void)
{
        rough_must(setgroups(0, NULL) == 0);
        rough_must(setresgid(NOBODY, NOBODY, NOBODY) == 0);
        rough_must(setresuid(NOBODY, NOBODY, NOBODY) == 0);
        check_threads(NOBODY, true);
}

/* Forth and back many times while all threads fault, then away for good. */
static void to_and_fro(void)
{
        for (int i = 0; i < 500; i++) {
                rough_must(seteuid(NOBODY) == 0 && setegid(NOBODY) < 0);
                rough_must(seteuid(0) == 0 && setegid(NOBODY) == 0 && setegid(0) == 0);
                if (i % 250 == 0)
                        rough_pass(&part[0]);
        }
        become_nobody();
}

/* From a thread whose stack, where glibc keeps what all are to do, is memory that can be paged. */
static void *in_thread(void *arg)
{
        for (int i = 0; i < 4; i++) {
                rough_must(seteuid(NOBODY) == 0 && seteuid(0) == 0);
                rough_pass(&part[0]);
        }
        become_nobody();
        return arg;
}

static void from_a_thread(void)
{
        pthread_t thread;

        rough_must((errno = pthread_create(&thread, NULL, in_thread, NULL)) == 0);
        rough_must((errno = pthread_join(thread, NULL)) == 0);
}

static void set_capabilities(uint32_t low, uint32_t high)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { { .effective = low, .permitted = low },
                                                  { .effective = high, .permitted = high } };

        rough_must(syscall(SYS_capset, &header, data) == 0);
}

/* By itself, as a single-threaded program does it: nobody tells the agent. */
static void drop_capabilities(void)
{
        set_capabilities(0, 0);
}

static void drop_most_capabilities(void)
{
        set_capabilities(CAP_TO_MASK(CAP_NET_BIND_SERVICE), 0);
}

/* As daemons do that keep one capability under another user. */
static void keep_capability(void)
{
        rough_must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
        rough_must(setresuid(NOBODY, NOBODY, NOBODY) == 0);
        set_capabilities(CAP_TO_MASK(CAP_NET_BIND_SERVICE), 0);
        check_threads(NOBODY, false);
}

static void no_new_privileges(void)
{
        rough_must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

/* The system call itself is of one thread alone. */
static void raw_setuid(void)
{
        rough_must(syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) == 0);
        rough_must(syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0);
}

int main(int argc, char **argv)
{
        static const struct rough_case cases[] = {
                { "setuid", 1, become_nobody },
                { "setuid-threads", 5, become_nobody },
                { "setresuid-threads", 5, become_by_all_names },
                { "to-and-fro", 4, to_and_fro },
                { "from-a-thread", 4, from_a_thread },
                { "capabilities", 1, drop_capabilities },
                { "most-capabilities", 1, drop_most_capabilities },
                { "keep-capability", 1, keep_capability },
                { "no-new-privs", 1, no_new_privileges },
                { "raw-setuid", 1, raw_setuid },
        };

        return rough_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
