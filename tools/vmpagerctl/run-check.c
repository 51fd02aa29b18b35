// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * May CMD be run? vmpager comes into a program by LD_PRELOAD, which is the dynamic linker's (ld.so(8)): a
 * program without one, or one for which the linker runs in secure-execution mode, would run unpaged without a
 * word. So it is refused here.
 *
 *   statically linked            no PT_INTERP segment, hence no dynamic linker
 *   set-uid, set-gid, file       secure-execution mode: LD_PRELOAD with a slash in it is ignored. Root running a
 *   capabilities                 program that is set-uid root is the exception, refused with the others: such programs
 *                                exist to change who they are, and clean the environment as they do
 *   another class or machine     the library does not fit
 *   a script                     its interpreter decides, as execve(2) finds it
 */
#include "vmpagerctl/run-check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"

#define SCRIPT_LINE  256 /* bytes of a #! line that the kernel reads (BINPRM_BUF_SIZE) */
#define SCRIPT_DEPTH 5   /* interpreters of interpreters (execve(2)) */
#define PHDRS_MOST   65536u

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OWN_MACHINE EM_PPC64
#elif defined(__s390x__)
#define OWN_MACHINE EM_S390
#else
#error "which e_machine do programs for this architecture have?"
#endif

/* 0 when the file is there and may be executed. */
static int executable(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
        return access(path, X_OK) < 0 ? -errno : 0;
}

static int found(const char *path, char **out, struct error *e)
{
        *out = strdup(path);
        return *out ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int find_along(const char *command, const char *search, char **out, struct error *e)
{
        struct error refused = { 0 };
        int unusable = 0;

        for (const char *dir = search, *end; dir; dir = *end ? end + 1 : NULL) {
                _cleanup_(freep) char *path = NULL;
                int r;

                end = strchrnul(dir, ':');
                /* An empty element is the working directory. */
                if (asprintf(&path, "%.*s%s%s", (int)(end - dir), dir, end > dir ? "/" : "./", command) < 0)
                        return error_set(e, -ENOMEM, "out of memory");
                r = executable(path);
                if (!r)
                        return found(path, out, e);
                if (r == -EACCES && !unusable)
                        unusable = error_sys(&refused, r, "cannot run %s", path);
        }
        return unusable ? error_set(e, unusable, "%s", refused.text) :
                          error_set(e, -ENOENT, "%s: command not found", command);
}

int run_check_find(const char *command, const char *search, char **out, struct error *e)
{
        char standard[256] = "/bin:/usr/bin";
        int r;

        if (!*command)
                return error_set(e, -ENOENT, "the command's name is empty");
        if (!strchr(command, '/')) {
                if (!search) {
                        confstr(_CS_PATH, standard, sizeof(standard));
                        search = standard;
                }
                return find_along(command, search, out, e);
        }
        r = executable(command);
        if (!r)
                return found(command, out, e);
        if (r == -ENOENT)
                return error_set(e, r, "%s: no such file", command);
        return error_sys(e, r, "cannot run %s", command);
}

/* Reads exactly len bytes at an offset. */
static bool read_at(int fd, void *buf, size_t len, off_t at)
{
        ssize_t n = pread(fd, buf, len, at);

        return n >= 0 && (size_t)n == len;
}

static int check_privilege(int fd, const char *path, struct error *e)
{
        const char *what = NULL;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return 0; /* exec will say what is wrong with it */
        if (st.st_mode & S_ISUID)
                what = "is set-uid";
        else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) /* without x it is no set-gid: inode(7) */
                what = "is set-gid";
        else if (fgetxattr(fd, "security.capability", NULL, 0) > 0)
                what = "has file capabilities";
        if (what)
                return error_set(e, -EPERM,
                                 "%s %s: the dynamic linker loads no library of ours into it, so it cannot be paged",
                                 path, what);
        return 0;
}

static int check_elf(int fd, const char *path, struct error *e)
{
        ElfW(Ehdr) h;
        ElfW(Phdr) p;

        if (!read_at(fd, &h, sizeof(h), 0))
                return error_set(e, -ENOEXEC, "%s: cut short, this is no program", path);
        if (h.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
                return error_set(e, -ENOEXEC,
                                 "%s is a %s-bit program: the library is for %zu bits, so it cannot be paged", path,
                                 h.e_ident[EI_CLASS] == ELFCLASS32 ? "32" : "64", sizeof(void *) * 8);
        if (h.e_machine != OWN_MACHINE)
                return error_set(e, -ENOEXEC, "%s is a program for another kind of machine (ELF machine %u)", path,
                                 h.e_machine);
        for (uint32_t i = 0; i < h.e_phnum && i < PHDRS_MOST; i++) {
                if (!read_at(fd, &p, sizeof(p), (off_t)(h.e_phoff + (uint64_t)i * h.e_phentsize)))
                        return error_set(e, -ENOEXEC, "%s: cut short, this is no program", path);
                if (p.p_type == PT_INTERP)
                        return check_privilege(fd, path, e);
        }
        return error_set(e, -ENOEXEC,
                         "%s is statically linked: no library can be preloaded into it, so it cannot be paged", path);
}

/* The interpreter on a "#!" line, cut out in place; NULL for a line without. */
static char *interpreter(char *line)
{
        char *name = line + 2, *end;

        name += strspn(name, " \t");
        end = name + strcspn(name, " \t\n");
        *end = '\0';
        return end > name ? name : NULL;
}

int run_check_loadable(const char *path, struct error *e)
{
        char line[SCRIPT_LINE + 1];
        char name[SCRIPT_LINE + 1];

        for (int depth = 0; depth <= SCRIPT_DEPTH; depth++) {
                _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
                ssize_t n = fd < 0 ? -1 : pread(fd, line, SCRIPT_LINE, 0);
                char *next;

                if (n < 0)
                        return 0; /* not to be read, or not there: exec says what there is to say */
                line[n] = '\0';
                if (n >= SELFMAG && !memcmp(line, ELFMAG, SELFMAG))
                        return check_elf(fd, path, e);
                if (n < 2 || line[0] != '#' || line[1] != '!') {
                        path = "/bin/sh"; /* what execvp(3) makes of a file that the kernel does not know */
                        continue;
                }
                next = interpreter(line);
                if (!next)
                        return error_set(e, -ENOEXEC, "%s: its first line names no interpreter", path);
                memcpy(name, next, strlen(next) + 1);
                path = name;
        }
        return error_set(e, -ENOEXEC, "%s: too many interpreters of interpreters", path);
}
