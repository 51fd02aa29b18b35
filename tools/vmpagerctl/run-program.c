// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CMD under "run": started with the library preloaded, and waited for by a parent that is not noticed. It stays
 * in the process group that it would have been in, so that it has the terminal; the parent passes on what was
 * sent to itself alone.
 *
 * Signals are blocked and taken with sigwaitinfo(2), whose siginfo tells where one came from:
 *   the terminal (SI_KERNEL)   went to the whole foreground group, CMD included: not passed on
 *   CMD itself                 kill(0, ...): CMD has had its own
 *   anybody else               passed on, with its value when it came by sigqueue(3)
 *
 * A shell waits for this process alone: when CMD is stopped by the terminal (^Z) this process stops as well, and
 * when it is continued it continues CMD.
 */
#include "vmpagerctl/run-program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/message.h"

/* All but what cannot be waited for, what this process would do to itself, and job control of its own output. */
static void waited_signals(sigset_t *set)
{
        static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGTTIN, SIGTTOU };

        sigfillset(set);
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
                sigdelset(set, own[i]);
}

static bool from_terminal(const siginfo_t *info)
{
        switch (info->si_signo) {
        case SIGINT:
        case SIGQUIT:
        case SIGTSTP:
        case SIGHUP:
        case SIGCONT:
        case SIGWINCH:
                return info->si_code == SI_KERNEL;
        default:
                return false; /* SIGALRM of a timer set before exec is the kernel's as well, and ours alone */
        }
}

static void pass_on(const siginfo_t *info, pid_t to)
{
        if (from_terminal(info))
                return;
        if (info->si_code == SI_QUEUE)
                sigqueue(to, info->si_signo, info->si_value);
        else if (info->si_code != SI_USER || (info->si_pid != to && info->si_pid != getpid()))
                kill(to, info->si_signo);
}

static bool has_terminal(void)
{
        _cleanup_(closep) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

        return fd >= 0;
}

/* SIGSTOP is left out: it is somebody's who means this process, and who will continue it and not its parent. */
static void stop_along(pid_t program, int signo)
{
        if ((signo != SIGTSTP && signo != SIGTTIN && signo != SIGTTOU) || !has_terminal())
                return;
        kill(getpid(), SIGSTOP);
        kill(program, SIGCONT);
}

static int setup_environment(const struct run_program *p)
{
        const char *others = getenv("LD_PRELOAD");
        _cleanup_(freep) char *value = NULL;

        if (asprintf(&value, "%s%s%s", p->library, others && *others ? ":" : "", others ? others : "") < 0)
                return -ENOMEM;
        if (setenv("LD_PRELOAD", value, 1) < 0 || (p->own_daemon && unsetenv("VMPAGER_SOCKET") < 0))
                return -errno;
        return 0;
}

/* As execvp(3) does: a file that the kernel does not know is the shell's. */
static void run_by_shell(const struct run_program *p)
{
        size_t n = 0;
        char **argv;

        while (p->argv[n])
                n++;
        argv = calloc(n + 2, sizeof(*argv));
        if (!argv)
                return;
        argv[0] = (char *)"/bin/sh";
        argv[1] = (char *)p->path;
        memcpy(argv + 2, p->argv + 1, n * sizeof(*argv)); /* with the NULL */
        execv(argv[0], argv);
        free(argv);
        errno = ENOEXEC;
}

static void __attribute__((noreturn)) become(const struct run_program *p, int failure)
{
        int r = setup_environment(p);

        if (!r) {
                sigaction(SIGCHLD, &p->chld, NULL);
                sigprocmask(SIG_SETMASK, &p->mask, NULL);
                execv(p->path, p->argv);
                if (errno == ENOEXEC)
                        run_by_shell(p);
                r = -errno;
        }
        if (write(failure, &r, sizeof(r)) < 0)
                _exit(EXIT_SELF);
        _exit(EXIT_NOT_RUNNABLE);
}

int run_program_start(struct run_program *p, struct error *e)
{
        const struct sigaction standard = { .sa_handler = SIG_DFL };
        int failure[2], r = 0;
        sigset_t waited;

        if (pipe2(failure, O_CLOEXEC) < 0)
                return error_sys(e, -errno, "cannot make a pipe");
        waited_signals(&waited);
        sigprocmask(SIG_BLOCK, &waited, &p->mask);
        /* An ignored SIGCHLD, which exec hands down, would take the exit status away. */
        sigaction(SIGCHLD, &standard, &p->chld);

        p->pid = fork();
        if (p->pid == 0)
                become(p, failure[1]);
        close(failure[1]);
        if (p->pid < 0) {
                r = error_sys(e, -errno, "cannot start a process");
        } else if (TEMP_FAILURE_RETRY(read(failure[0], &r, sizeof(r))) == (ssize_t)sizeof(r)) {
                waitpid(p->pid, NULL, 0);
                error_sys(e, r, "cannot run %s", p->path);
        } else {
                r = 0; /* closed by exec */
        }
        close(failure[0]);
        return r;
}

/* 1 when the program has ended, with its status. */
static int look(pid_t program, int *status)
{
        siginfo_t s = { 0 };

        if (waitid(P_PID, (id_t)program, &s, WEXITED | WSTOPPED | WNOHANG) < 0 || !s.si_pid)
                return 0;
        if (s.si_code == CLD_STOPPED || s.si_code == CLD_TRAPPED) {
                stop_along(program, s.si_status);
                return 0;
        }
        *status = s.si_code == CLD_EXITED ? s.si_status : EXIT_SIGNALLED + s.si_status;
        return 1;
}

int run_program_wait(struct run_program *p, pid_t other)
{
        sigset_t waited;
        siginfo_t info;
        int status;

        waited_signals(&waited);
        for (;;) {
                if (look(p->pid, &status))
                        return status;
                if (other && waitpid(other, NULL, WNOHANG) == other)
                        return look(p->pid, &status) ? status : -ECHILD;
                if (sigwaitinfo(&waited, &info) >= 0 && info.si_signo != SIGCHLD)
                        pass_on(&info, p->pid);
        }
}

void run_program_kill(struct run_program *p)
{
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
