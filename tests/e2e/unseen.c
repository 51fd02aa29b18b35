/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints all that a program can see of itself that is not its memory: two runs of it can be compared. What differs from
 * run to run (numbers of processes) is printed as what it is to the program.
 *
 *     unseen [MIB]
 *
 * With MIB it first writes as much memory and reads it again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void show(const char *name, long value)
{
        printf("%s: %ld (errno %d)\n", name, value, value < 0 ? errno : 0);
}

static void show_errno(void)
{
        int at_start = errno;

        printf("errno at the start of main: %d\n", at_start);
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a folder of links has, in order. */
static void show_links(const char *folder)
{
        char *line[256], target[512];
        size_t n = 0;
        struct dirent *e;
        DIR *dir = opendir(folder);

        while (dir && (e = readdir(dir)) && n < 256) {
                ssize_t length = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

                if (length < 0)
                        continue;
                target[length] = '\0';
                /* Numbers of pipes and sockets differ from run to run. */
                if (strchr(target, '['))
                        *strchr(target, '[') = '\0';
                if (asprintf(&line[n], "%s/%s -> %s", folder, e->d_name,
                             atoi(e->d_name) == dirfd(dir) ? "itself" : target) > 0)
                        n++;
        }
        if (dir)
                closedir(dir);
        qsort(line, n, sizeof(line[0]), compare);
        for (size_t i = 0; i < n; i++)
                puts(line[i]);
}

static void show_new_descriptors(void)
{
        int pair[2];
        sigset_t none;

        sigemptyset(&none);
        show("open", open("/dev/null", O_RDONLY));
        show("dup", dup(0));
        show("fcntl(F_DUPFD, 0)", fcntl(0, F_DUPFD, 0));
        show("fcntl(F_DUPFD, 100)", fcntl(0, F_DUPFD, 100));
        show("socket", socket(AF_UNIX, SOCK_STREAM, 0));
        show("pipe", pipe(pair));
        printf("its ends: %d %d\n", pair[0], pair[1]);
        show("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        printf("its ends: %d %d\n", pair[0], pair[1]);
        show("epoll_create", epoll_create1(0));
        show("eventfd", eventfd(0, 0));
        show("timerfd_create", timerfd_create(CLOCK_MONOTONIC, 0));
        show("signalfd", signalfd(-1, &none, 0));
        show("inotify_init", inotify_init());
        show("memfd_create", memfd_create("x", 0));
        show("dup2 to 9", dup2(0, 9));
        show("open", open("/dev/null", O_RDONLY));
        show("close_range", (long)syscall(SYS_close_range, 3u, ~0u, 0u));
        show("open after all were closed", open("/dev/null", O_RDONLY));
        close(3);
}

static void show_environment(void)
{
        char buffer[65536];
        int fd = open("/proc/self/environ", O_RDONLY);
        ssize_t n = read(fd, buffer, sizeof(buffer) - 1);

        close(fd);
        for (char *at = buffer; n > 0 && at < buffer + n; at += strlen(at) + 1)
                if (strncmp(at, "LD_PRELOAD=", 11) != 0 && strncmp(at, "VMPAGER_", 8) != 0 && strncmp(at, "_=", 2) != 0)
                        printf("/proc/self/environ: %s\n", at);
        for (char **e = environ; *e; e++)
                if (strncmp(*e, "LD_PRELOAD=", 11) != 0 && strncmp(*e, "VMPAGER_", 8) != 0 && strncmp(*e, "_=", 2) != 0)
                        printf("environ: %s\n", *e);
}

static void show_signals(void)
{
        sigset_t blocked, pending;
        stack_t stack;

        sigprocmask(SIG_BLOCK, NULL, &blocked);
        sigpending(&pending);
        for (int i = 1; i < NSIG; i++) {
                struct sigaction action;

                if (sigaction(i, NULL, &action) < 0)
                        continue;
                printf("signal %d: %s flags %x%s%s\n", i,
                       action.sa_handler == SIG_DFL ? "default" :
                       action.sa_handler == SIG_IGN ? "ignored" :
                                                      "handled",
                       (unsigned)action.sa_flags, sigismember(&blocked, i) ? " blocked" : "",
                       sigismember(&pending, i) ? " pending" : "");
        }
        sigaltstack(NULL, &stack);
        printf("alternate stack: flags %x\n", (unsigned)stack.ss_flags);
}

static void show_limits(void)
{
        struct rlimit limit;

        for (int i = 0; i < RLIM_NLIMITS; i++)
                if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
                        printf("limit %d: %lu %lu\n", i, (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
}

/* Whose child it is is said by name: the shell that starts it natively is its parent otherwise too. */
static void show_process(void)
{
        char text[512] = "";
        mode_t mask = umask(0);

        umask(mask);
        printf("umask: %o\ncwd: %s\n", mask, getcwd(text, sizeof(text)));
        printf("session: %s\n", getsid(0) == getsid(getppid()) ? "its parent's" : "another");
        printf("group: %s\n", getpgrp() == getpid()           ? "its own" :
                              getpgrp() == getpgid(getppid()) ? "its parent's" :
                                                                "another");
        printf("ids: %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
        printf("nice: %d\npolicy: %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0));
        show("children", (long)waitpid(-1, NULL, WNOHANG));
        show("terminal", ioctl(0, TIOCGPGRP, &(pid_t){ 0 }));
}

static void show_timers(void)
{
        for (int i = 0; i <= ITIMER_PROF; i++) {
                struct itimerval timer;

                getitimer((__itimer_which_t)i, &timer);
                printf("timer %d: %ld.%06ld every %ld.%06ld\n", i, timer.it_value.tv_sec, timer.it_value.tv_usec,
                       timer.it_interval.tv_sec, timer.it_interval.tv_usec);
        }
        show("alarm", alarm(0));
}

static void show_prctl(void)
{
        char name[17] = "";
        int value = 0;

        show("dumpable", prctl(PR_GET_DUMPABLE));
        prctl(PR_GET_NAME, name);
        printf("name: %s\n", name);
        prctl(PR_GET_PDEATHSIG, &value);
        printf("signal at the parent's death: %d\n", value);
        show("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        show("keep capabilities", prctl(PR_GET_KEEPCAPS));
        prctl(PR_GET_CHILD_SUBREAPER, &value);
        printf("subreaper: %d\n", value);
        show("huge pages disabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
        show("timer slack", prctl(PR_GET_TIMERSLACK));
        show("securebits", prctl(PR_GET_SECUREBITS));
        show("seccomp", prctl(PR_GET_SECCOMP));
        show("memory failure policy", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
        show("tsc", prctl(PR_GET_TSC, &value));
}

/*
 * These lines of status, which are not about memory, threads or time. FDSize is not among them: it is what whoever
 * forked last had open.
 */
static void show_status(void)
{
        static const char *const names[] = {
                "Name:",   "Umask:",      "State:",  "TracerPid:",   "Groups:",       "SigPnd:",      "ShdPnd:",
                "SigBlk:", "SigIgn:",     "SigCgt:", "CapInh:",      "CapPrm:",       "CapEff:",      "CapBnd:",
                "CapAmb:", "NoNewPrivs:", "Seccomp", "CoreDumping:", "Cpus_allowed:", "Mems_allowed:"
        };
        FILE *f = fopen("/proc/self/status", "r");
        char line[4096];

        while (f && fgets(line, sizeof(line), f))
                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                        if (strncmp(line, names[i], strlen(names[i])) == 0)
                                printf("status: %s", line);
        if (f)
                fclose(f);
}

static void on_exit_of_main(void)
{
        puts("atexit: the program's function is called");
}

static void *do_nothing(void *arg)
{
        return arg;
}

/*
 * What the program's own threads get. From the first on glibc handles a signal of its own (33), which a program under
 * vmpager has from the beginning: so this comes before the lines of status.
 */
static void show_threads(void)
{
        pthread_key_t key;
        pthread_t thread;
        int limit = 0;

        show("pthread_create", pthread_create(&thread, NULL, do_nothing, NULL));
        show("pthread_join", pthread_join(thread, NULL));

        show("pthread_key_create", pthread_key_create(&key, NULL));
        printf("key: %u\n", key);
        while (pthread_key_create(&key, NULL) == 0)
                limit++;
        printf("further keys: %d\n", limit);
}

static void use_memory(size_t bytes)
{
        uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        size_t wrong = 0;

        for (size_t i = 0; p != MAP_FAILED && i < bytes; i += 4096)
                p[i] = (uint8_t)(i >> 12 | 1);
        for (size_t i = 0; p != MAP_FAILED && i < bytes; i += 4096)
                wrong += p[i] != (uint8_t)(i >> 12 | 1);
        printf("wrong pages: %zu\n", wrong);
}

int main(int argc, char **argv)
{
        show_errno();
        if (argc > 1)
                use_memory(strtoul(argv[1], NULL, 10) << 20);
        show_links("/proc/self/fd");
        show_environment();
        show_signals();
        show_limits();
        show_process();
        show_timers();
        show_prctl();
        show_threads();
        show_status();
        show_new_descriptors();
        atexit(on_exit_of_main);
        fflush(stdout);
        return 0;
}
