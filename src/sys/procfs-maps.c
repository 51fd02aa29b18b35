// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mappings of a process: one by one where the kernel can be asked so (PROCMAP_QUERY, Linux 6.11), which is
 * quicker and never old; otherwise as text.
 */
#include "sys/procfs.h"

#include "sys/pagemap-compat.h"
#include "util/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longer than any line of maps: 4095 bytes of path, each perhaps escaped as \ooo, behind the numbers. */
#define MAPS_BUFFER 32768

/* Of a path as it is, with its end (PATH_MAX); the kernel refuses a shorter buffer for a longer name. */
#define NAME_BUFFER 4096

/* The digits of a number at *at, which moves behind them. */
static uint64_t take_hex(const char **at)
{
        uint64_t value = 0;

        for (;; (*at)++) {
                char c = **at;

                if (c >= '0' && c <= '9')
                        value = value << 4 | (uint64_t)(c - '0');
                else if (c >= 'a' && c <= 'f')
                        value = value << 4 | (uint64_t)(c - 'a' + 10);
                else
                        return value;
        }
}

static const char *skip_word(const char *at)
{
        while (*at && *at != ' ')
                at++;
        while (*at == ' ')
                at++;
        return at;
}

static bool starts_with(const char *text, const char *start)
{
        return strncmp(text, start, strlen(start)) == 0;
}

static void classify(struct procfs_mapping *m, bool file)
{
        m->stack = !file && strcmp(m->name, "[stack]") == 0;
        m->anonymous = !file && (!*m->name || strcmp(m->name, "[heap]") == 0 || starts_with(m->name, "[anon:"));
}

/* One line of maps, see proc_pid_maps(5): start-end rwxp offset major:minor inode name */
static int parse_mapping(const char *line, struct procfs_mapping *m)
{
        const char *at = line, *inode;
        bool file;

        m->start = take_hex(&at);
        if (*at++ != '-')
                return -EIO;
        m->end = take_hex(&at);
        if (*at++ != ' ' || strnlen(at, 5) < 5)
                return -EIO;
        m->readable = at[0] == 'r';
        m->writable = at[1] == 'w';
        m->shared = at[3] == 's';

        inode = skip_word(skip_word(skip_word(at)));
        file = inode[0] != '0' || (inode[1] != ' ' && inode[1] != '\0');
        m->name = skip_word(inode);
        classify(m, file);
        return 0;
}

/* Calls fn for each whole line in buf. What is left of the last one is moved to the front; *used is its length. */
static int each_line(char *buf, size_t *used, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        char *line = buf, *end;
        int r = 0;

        while (r == 0 && (end = memchr(line, '\n', *used - (size_t)(line - buf)))) {
                struct procfs_mapping m;

                *end = '\0';
                r = parse_mapping(line, &m);
                if (r == 0)
                        r = fn(&m, arg);
                line = end + 1;
        }
        *used -= (size_t)(line - buf);
        memmove(buf, line, *used);
        return r;
}

/* All of maps as text. */
static int read_mappings(int fd, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        _cleanup_(freep) char *buf = malloc(MAPS_BUFFER);
        size_t used = 0;
        bool any = false;
        int r = 0;

        if (!buf)
                return -ENOMEM;
        while (r == 0) {
                ssize_t n = read(fd, buf + used, MAPS_BUFFER - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return used ? -EIO : any ? 0 : -ESRCH;
                any = true;
                used += (size_t)n;
                r = each_line(buf, &used, fn, arg);
                if (r == 0 && used == MAPS_BUFFER)
                        return -EIO;
        }
        return r;
}

/*
 * The mapping at or after addr, with its name if there is a buffer for it. Returns 0 or a negative errno: -ENOENT there
 * is none, -ENOTTY the kernel has no such query.
 */
static int query(int fd, uint64_t addr, struct procfs_mapping *m, char *name, uint32_t name_size)
{
        struct procmap_query q = {
                .size = sizeof(q),
                .query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA,
                .query_addr = addr,
                .vma_name_size = name_size,
                .vma_name_addr = (uintptr_t)name,
        };

        if (ioctl(fd, PROCMAP_QUERY, &q) < 0)
                return -errno;
        if (name && q.vma_name_size == 0)
                name[0] = '\0';
        *m = (struct procfs_mapping){
                .start = q.vma_start,
                .end = q.vma_end,
                .readable = q.vma_flags & PROCMAP_QUERY_VMA_READABLE,
                .writable = q.vma_flags & PROCMAP_QUERY_VMA_WRITABLE,
                .shared = q.vma_flags & PROCMAP_QUERY_VMA_SHARED,
                .name = name ? name : "",
        };
        classify(m, q.inode != 0);
        return 0;
}

/*
 * Asks for one mapping after the other: each is as it is while fn is called, or was a microsecond before. *known is
 * false when the kernel cannot be asked so.
 */
static int query_mappings(int fd, bool *known, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        struct procfs_mapping m = { 0 };
        char name[NAME_BUFFER];
        bool any = false;

        for (;;) {
                int r = query(fd, m.end, &m, name, sizeof(name));

                *known = any || r != -ENOTTY;
                if (r == -ENOENT)
                        return any ? 0 : -ESRCH;
                if (r == 0)
                        r = fn(&m, arg);
                if (r != 0)
                        return r;
                any = true;
        }
}

/* Opens maps or smaps; of a thread where the first one has ended. */
static int open_maps(const struct procfs *p, const char *which)
{
        char name[40];

        if (!p->tid)
                return procfs_open_in(p->dir, which);
        snprintf(name, sizeof(name), "task/%d/%s", (int)p->tid, which);
        return procfs_open_in(p->dir, name);
}

int procfs_mappings(const struct procfs *p, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        _cleanup_(closep) int fd = open_maps(p, "maps");
        bool known;
        int r;

        if (fd < 0)
                return fd;
        r = query_mappings(fd, &known, fn, arg);
        return known ? r : read_mappings(fd, fn, arg);
}

struct place {
        uint64_t addr, end;
};

static int find_place(const struct procfs_mapping *m, void *arg)
{
        struct place *place = arg;

        if (m->end <= place->addr)
                return 0;
        if (m->start > place->addr)
                return -ENOENT;
        place->end = m->end;
        return 1;
}

int procfs_mapping_at(const struct procfs *p, uint64_t addr, struct procfs_mapping *m)
{
        int r = query(p->maps, addr, m, NULL, 0);

        return r < 0 ? r : m->start > addr ? -ENOENT : 0;
}

int procfs_mapping_end(const struct procfs *p, uint64_t addr, uint64_t *end)
{
        struct procfs_mapping m;
        int r = procfs_mapping_at(p, addr, &m);

        if (r == 0)
                *end = m.end;
        if (r != -ENOTTY)
                return r;

        _cleanup_(closep) int fd = open_maps(p, "maps");
        struct place place = { .addr = addr };

        if (fd < 0)
                return fd;
        r = read_mappings(fd, find_place, &place);
        *end = place.end;
        return r == 1 ? 0 : r < 0 ? r : -ENOENT;
}

/* The flags of one mapping, "VmFlags: rd wr mr ...". */
static bool has_flag(const char *flags, const char *flag)
{
        for (const char *at = skip_word(flags); *at; at = skip_word(at))
                if (starts_with(at, flag))
                        return true;
        return false;
}

/* Looks through smaps. */
static int look_for(FILE *smaps, uint64_t addr)
{
        _cleanup_(freep) char *line = NULL;
        bool found = false;
        size_t room = 0;

        while (getline(&line, &room, smaps) > 0) {
                const char *at = line;
                uint64_t start = take_hex(&at);

                if (*at++ == '-') {
                        if (start > addr)
                                return -ENOENT;
                        found = addr < take_hex(&at);
                } else if (found && starts_with(line, "VmFlags:")) {
                        return !has_flag(line, "dc") && !has_flag(line, "wf");
                }
        }
        return -ENOENT;
}

int procfs_inherited(const struct procfs *p, uint64_t addr)
{
        _cleanup_(fclosep) FILE *smaps = NULL;
        int fd = open_maps(p, "smaps");

        if (fd < 0)
                return fd;
        smaps = fdopen(fd, "r");
        if (!smaps) {
                close(fd);
                return -ENOMEM;
        }
        return look_for(smaps, addr);
}
