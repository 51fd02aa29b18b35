// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What pages hold: three kinds. Text is what begins without a byte that no text has, binary what begins as ELF does;
 * files of less than a page are left out, those of more than 4 MiB are cut, so that no file is most of it.
 */
#include "store-content.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

#define FILE_MOST (4u << 20)

const char *const content_names[CONTENTS] = { "text", "binary", "random" };

static struct {
        enum content content;
        unsigned char *at, *end;
} fill; /* nftw() hands nothing on */

static bool is_of_kind(const unsigned char *head, size_t n)
{
        if (fill.content == CONTENT_BINARY)
                return n > 4 && !memcmp(head, "\177ELF", 4);
        for (size_t i = 0; i < n; i++)
                if (head[i] < 9 || (head[i] > 13 && head[i] < 32))
                        return false;
        return true;
}

static int add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        size_t left = (size_t)(fill.end - fill.at), want = left < FILE_MOST ? left : FILE_MOST;
        ssize_t n;
        int fd;

        (void)ftw;
        if (type != FTW_F || st->st_size < (off_t)STORE_PAGE)
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return 0;
        n = read(fd, fill.at, want);
        close(fd);
        if (n > 0 && is_of_kind(fill.at, (size_t)n < STORE_PAGE ? (size_t)n : STORE_PAGE))
                fill.at += n;
        return fill.at == fill.end;
}

static void fill_random(unsigned char *memory, uint32_t pages)
{
        uint64_t state = 88172645463325252u;

        for (size_t i = 0; i < (size_t)pages * STORE_PAGE; i += sizeof(state)) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                memcpy(memory + i, &state, sizeof(state));
        }
}

uint32_t content_fill(enum content content, unsigned char *memory, uint32_t pages)
{
        static const char *const text[] = { "/usr/include", "/usr/share", NULL };
        static const char *const binary[] = { "/usr/bin", "/usr/sbin", "/usr/lib", NULL };

        if (content == CONTENT_RANDOM) {
                fill_random(memory, pages);
                return pages;
        }
        fill.content = content;
        fill.at = memory;
        fill.end = memory + (size_t)pages * STORE_PAGE;
        for (const char *const *dir = content == CONTENT_TEXT ? text : binary; *dir && fill.at < fill.end; dir++)
                nftw(*dir, add_file, 16, FTW_PHYS | FTW_MOUNT);
        return (uint32_t)((size_t)(fill.at - memory) / STORE_PAGE);
}
