// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: what is read, and that each line that is wrong is said with its number. */
#include "daemon/config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "temp-dir.h"
#include "unit-run.h"
#include "model/readahead.h"
#include "util/error.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static char said[16384]; /* what the last read_text() said on stderr */

static int read_text(const char *text, struct config *out, struct error *e)
{
        char *path = temp_path("vmpagerd.conf"), *messages = temp_path("stderr");
        FILE *f = fopen(path, "w");
        int saved = dup(STDERR_FILENO), fd = open(messages, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600), r;
        ssize_t n;

        ck_assert(f && saved >= 0 && fd >= 0);
        fputs(text, f);
        fclose(f);
        fflush(stderr);
        dup2(fd, STDERR_FILENO);
        r = config_read(path, out, e);
        fflush(stderr);
        dup2(saved, STDERR_FILENO);
        n = pread(fd, said, sizeof(said) - 1, 0);
        ck_assert_int_ge(n, 0);
        said[n] = '\0';
        close(fd);
        close(saved);
        return r;
}

static bool said_line(int line)
{
        char text[32];

        snprintf(text, sizeof(text), "vmpagerd.conf:%d: ", line);
        return strstr(said, text) != NULL;
}

static unsigned said_lines(void)
{
        unsigned n = 0;

        for (const char *p = said; (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

/* A text with exactly one wrong line, whose message has `what` in it. */
static void wrong_line(const char *text, int line, const char *what)
{
        struct config c = { .workers = 77 };
        struct error e = { 0 };

        ck_assert_msg(read_text(text, &c, &e) == -EINVAL, "accepted: %s", text);
        ck_assert_int_eq(e.code, -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "vmpagerd.conf"));
        ck_assert_msg(said_line(line) && strstr(said, what), "\"%s\" gives: %s", text, said);
        ck_assert_msg(said_lines() == 1, "\"%s\" gives: %s", text, said);
        ck_assert_uint_eq(c.workers, 77);
}

START_TEST(test_defaults)
{
        struct config c;

        ck_assert_int_eq(config_defaults(&c), 0);
        ck_assert_str_eq(c.socket, VMPAGER_DEFAULT_SOCKET);
        ck_assert_str_eq(c.control, VMPAGER_DEFAULT_CONTROL);
        ck_assert_str_eq(c.state, VMPAGER_DEFAULT_STATE);
        ck_assert_ptr_null(c.tracker);
        ck_assert(c.workers >= 1 && c.workers <= 4);
        ck_assert_uint_eq(c.readahead, READAHEAD_MOST);
        ck_assert_str_eq(c.store[0].name, "default");
        ck_assert_str_ne(c.store[0].path, "");
        ck_assert_uint_eq(c.store[0].size, 0); /* not given */
        ck_assert(!c.store[0].keep && !c.grow_when_full);
        ck_assert_int_eq(c.store[0].discard, MEDIUM_DISCARD_AUTO);
        ck_assert_uint_eq(c.class_.limit, 0);
        config_clear(&c);
        config_clear(&c);
}
END_TEST

START_TEST(test_all_keys)
{
        struct config c;
        struct error e = { 0 };

        ck_assert_int_eq(read_text("# a comment\n"
                                   "[daemon]\n"
                                   "socket = /a/s\n"
                                   "control=/a/c\n"
                                   "  \n"
                                   "state = /a/state\n"
                                   "tracker = standby\n"
                                   "workers = 64\n"
                                   "readahead = 8\n"
                                   "; another\n"
                                   "[store fast]\n"
                                   "path = /dev/disk/by-id/x y\n"
                                   "size = 1.5G\n"
                                   "keep = yes\n"
                                   "discard = yes\n"
                                   "on_full = grow\n"
                                   "[class default]\n"
                                   "limit = 16M\n"
                                   "swap = 1M\n",
                                   &c, &e),
                         0);
        ck_assert_str_eq(said, "");
        ck_assert_str_eq(c.socket, "/a/s");
        ck_assert_str_eq(c.control, "/a/c");
        ck_assert_str_eq(c.state, "/a/state");
        ck_assert_str_eq(c.tracker, "standby");
        ck_assert_uint_eq(c.workers, 64);
        ck_assert_uint_eq(c.readahead, 8);
        ck_assert_str_eq(c.store[0].name, "fast");
        ck_assert_str_eq(c.store[0].path, "/dev/disk/by-id/x y");
        ck_assert_uint_eq(c.store[0].size, GIB + GIB / 2);
        ck_assert(c.store[0].keep && c.grow_when_full);
        ck_assert_int_eq(c.store[0].discard, MEDIUM_DISCARD_YES);
        ck_assert_uint_eq(c.class_.limit, 16 * MIB);
        ck_assert_uint_eq(c.class_.swap, MIB);
        config_clear(&c);
}
END_TEST

/* As the README shows it: an indented line is a line like any other, and no second value of the key above. */
START_TEST(test_indented)
{
        struct config c;
        struct error e = { 0 };

        ck_assert_int_eq(read_text("    [daemon]\n"
                                   "    socket = /a/s\n"
                                   "    control = /a/c\n"
                                   "\n"
                                   "\t; a comment\n"
                                   "    [store default]\n"
                                   "    path = /a/store\n"
                                   "      size = 2G\n"
                                   "    [class default]\n"
                                   "\tlimit = 64M\n",
                                   &c, &e),
                         0);
        ck_assert_str_eq(said, "");
        ck_assert_str_eq(c.socket, "/a/s");
        ck_assert_str_eq(c.control, "/a/c");
        ck_assert_str_eq(c.store[0].path, "/a/store");
        ck_assert_uint_eq(c.store[0].size, 2 * GIB);
        ck_assert_uint_eq(c.class_.limit, 64 * MIB);
        config_clear(&c);
        wrong_line("[daemon]\nsocket = /x\n  socke = /y\n", 3, "socke");
}
END_TEST

/* How pages are kept: what a class says goes before what the stores say. */
START_TEST(test_kept)
{
        struct config c;
        struct error e = { 0 };

        ck_assert_int_eq(read_text("", &c, &e), 0);
        ck_assert_int_eq(c.codec.codec, CODEC_NONE);
        ck_assert(!c.class_.has_codec && !c.encrypt);
        config_clear(&c);
        if (!codec_built_in(CODEC_ZSTD) || !codec_built_in(CODEC_LZ4))
                return;
        ck_assert_int_eq(read_text("[store a]\ncodec = zstd:3\nencrypt = no\n[class default]\ncodec = lz4\n", &c, &e),
                         0);
        ck_assert_int_eq(c.codec.codec, CODEC_ZSTD);
        ck_assert_int_eq(c.codec.level, 3);
        ck_assert(c.class_.has_codec);
        ck_assert_int_eq(c.class_.codec.codec, CODEC_LZ4);
        config_clear(&c);
        ck_assert_int_eq(read_text("[class default]\ncodec = lz4\nram = 25%\n", &c, &e), 0);
        ck_assert_uint_eq(c.class_.ram_percent, 25);
        ck_assert_uint_eq(c.class_.ram_bytes, UINT64_MAX);
        ck_assert_int_eq(config_check(&c, 64 * GIB, &e), 0);
        config_clear(&c);
        ck_assert_int_eq(read_text("[class default]\nram = 64M\n", &c, &e), 0);
        ck_assert_uint_eq(c.class_.ram_bytes, 64 * MIB);
        ck_assert_int_eq(config_check(&c, 64 * GIB, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "needs a codec"));
        config_clear(&c);
        wrong_line("[class default]\nram = 51%\n", 2, "51%");
        wrong_line("[class default]\nram = 0%\n", 2, "0%");
        wrong_line("[class default]\nram = some\n", 2, "some");
        wrong_line("[store a]\ncodec = lz5\n", 2, "lz5");
        wrong_line("[class default]\n\ncodec = zstd:1000\n", 3, "zstd:1000");
        wrong_line("[store a]\nencrypt = maybe\n", 2, "encrypt");
}
END_TEST

/* Several stores, whose keys may come in any order. */
START_TEST(test_stores)
{
        struct config c;
        struct error e = { 0 };

        ck_assert_int_eq(
                read_text("[store a]\nsize = 1G\n[store b]\npath = /b\nweight = 1000\n[store a]\npath = /a\n", &c, &e),
                0);
        ck_assert_uint_eq(c.n_stores, 2);
        ck_assert_str_eq(c.store[0].path, "/a");
        ck_assert_uint_eq(c.store[0].size, GIB);
        ck_assert_uint_eq(c.store[0].weight, 1);
        ck_assert_str_eq(c.store[1].path, "/b");
        ck_assert_uint_eq(c.store[1].size, 0);
        ck_assert_uint_eq(c.store[1].weight, 1000);
        ck_assert_int_eq(config_check(&c, 64 * GIB, &e), 0);
        config_clear(&c);

        ck_assert_int_eq(read_text("[store a]\npath = /a\n[store b]\nweight = 2\n", &c, &e), 0);
        ck_assert_int_eq(config_check(&c, 64 * GIB, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "the store b has no path"));
        config_clear(&c);
        ck_assert_int_eq(read_text("[store a]\npath = /a\n[store b]\npath = /a\n", &c, NULL), 0);
        e = (struct error){ 0 };
        ck_assert_int_eq(config_check(&c, 64 * GIB, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "the stores a and b have the same path, /a"));
        config_clear(&c);
        ck_assert_int_eq(read_text("[store a]\npath = nbd://host/x\nconnections = 16\ntimeout = 1.5s\n"
                                   "[store b]\npath = /b\n",
                                   &c, NULL),
                         0);
        ck_assert_str_eq(c.store[0].path, "nbd://host/x");
        ck_assert_uint_eq(c.store[0].connections, 16);
        ck_assert_uint_eq(c.store[0].timeout_ns, 1500000000);
        ck_assert_uint_eq(c.store[1].connections, 4);
        ck_assert_uint_eq(c.store[1].timeout_ns, CONFIG_TIMEOUT_NS);
        config_clear(&c);
        ck_assert_int_eq(read_text("[store a]\npath = nbd+http://host/x\n", &c, NULL), 0);
        ck_assert_int_lt(config_check(&c, 64 * GIB, NULL), 0);
        config_clear(&c);
        wrong_line("[store a]\nconnections = 17\n", 2, "connections");
        wrong_line("[store a]\ntimeout = 900ms\n", 2, "timeout");
        wrong_line("[store a]\ntimeout = 2h\n", 2, "timeout");
        wrong_line("[store a]\nweight = 0\n", 2, "weight");
        wrong_line("[store a]\nweight = 1001\n", 2, "weight");
        wrong_line("[store 1]\nkeep = no\n[store 2]\nkeep = no\n[store 3]\nkeep = no\n[store 4]\nkeep = no\n"
                   "[store 5]\nkeep = no\n[store 6]\nkeep = no\n[store 7]\nkeep = no\n[store 8]\nkeep = no\n"
                   "[store 9]\nkeep = no\n",
                   18, "8 stores");
}
END_TEST

START_TEST(test_little)
{
        struct config c;

        ck_assert_int_eq(read_text("", &c, NULL), 0);
        ck_assert_str_eq(c.store[0].name, "default");
        config_clear(&c);
        ck_assert_int_eq(read_text("[class default]\nlimit = none\nswap = 1G\nswap = none\n[store default]\nkeep = "
                                   "no\nkeep = yes\n",
                                   &c, NULL),
                         0);
        ck_assert_uint_eq(c.class_.limit, 0);
        ck_assert(c.store[0].keep); /* the last one holds */
        config_clear(&c);
        ck_assert_int_eq(read_text("[daemon]\nreadahead = no\n", &c, NULL), 0);
        ck_assert_uint_eq(c.readahead, 0);
        config_clear(&c);
        ck_assert_int_eq(read_text("[daemon]\nreadahead = yes\n", &c, NULL), 0);
        ck_assert_uint_eq(c.readahead, READAHEAD_MOST);
        config_clear(&c);
}
END_TEST

START_TEST(test_wrong)
{
        wrong_line("[daemon]\n\nsocke = /x\n", 3, "socke");
        wrong_line("[daemon]\nworkers = 0\n", 2, "workers");
        wrong_line("[daemon]\nworkers = 65\n", 2, "workers");
        wrong_line("[daemon]\nworkers = -1\n", 2, "workers");
        wrong_line("[daemon]\nworkers = 4 or so\n", 2, "workers");
        wrong_line("[daemon]\nworkers =\n", 2, "workers");
        wrong_line("[daemon]\nreadahead = 0\n", 2, "readahead");
        wrong_line("[daemon]\nreadahead = 65\n", 2, "readahead");
        wrong_line("[daemon]\nreadahead = on\n", 2, "readahead");
        wrong_line("[daemons]\nworkers = 4\n", 2, "section");
        wrong_line("workers = 4\n", 1, "section");
        wrong_line("[store]\npath = /x\n", 2, "section");
        wrong_line("[store a]\nsizes = 4G\n", 2, "sizes");
        wrong_line("[store a]\nsize = big\n", 2, "size");
        wrong_line("[store a]\nsize = 99999999T\n", 2, "size");
        wrong_line("[store a]\nkeep = true\n", 2, "keep");
        wrong_line("[store a]\ndiscard = no\ndiscard = auto\ndiscard = on\n", 4, "discard is auto, yes or no");
        wrong_line("[store a]\non_full = \n", 2, "wait or grow");
        wrong_line("[class default]\nswap = much\n", 2, "swap is not a size");
        wrong_line("[class default]\nswap = 1023K\n", 2, "least one, 1M");
        wrong_line("[store a]\non_full = Grow\n", 2, "wait or grow");
        wrong_line("[class fast]\nlimit = 1G\n", 2, "fast");
        wrong_line("[class default]\nlimits = 1G\n", 2, "limits");
        wrong_line("[class default]\nlimit = much\n", 2, "limit");
        wrong_line("[class default]\nlimit = 16777215\n", 2, "16M");
        wrong_line("[class default]\nlimit = 0\n", 2, "16M");
        wrong_line("[daemon]\nworkers\n", 2, "key = value");
}
END_TEST

/* All of them, and none of the others. */
START_TEST(test_many_wrong)
{
        struct config c = { .workers = 77 };
        struct error e = { 0 };

        ck_assert_int_eq(read_text("[daemon]\n"       /* 1 */
                                   "speed = 1\n"      /* 2: wrong */
                                   "workers = 2\n"    /* 3 */
                                   "workers = two\n"  /* 4: wrong */
                                   "[nothing]\n"      /* 5 */
                                   "a = b\n"          /* 6: wrong */
                                   "[store a]\n"      /* 7 */
                                   "size = 1x\n"      /* 8: wrong */
                                   "path = /x\n"      /* 9 */
                                   "this is not it\n" /* 10: wrong */
                                   "[class default]\n"
                                   "limit = 1K\n", /* 12: wrong */
                                   &c, &e),
                         -EINVAL);
        for (int line = 1; line <= 12; line++)
                ck_assert_msg(said_line(line) ==
                                      (line == 2 || line == 4 || line == 6 || line == 8 || line == 10 || line == 12),
                              "line %d: %s", line, said);
        ck_assert_ptr_nonnull(strstr(e.text, "6 wrong lines"));
        ck_assert_uint_eq(c.workers, 77);
}
END_TEST

/* A line that is longer than the library's buffer is refused, with its number, and never cut; what follows is read. */
START_TEST(test_long_line)
{
        char text[1024] = "[store a]\npath = /", *end = text + strlen(text);
        struct config c;
        struct error e = { 0 };

        memset(end, 'p', 600);
        strcpy(end + 600, "\nno = 1\n");
        ck_assert_int_eq(read_text(text, &c, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(said, ":2: this line is too long"));
        ck_assert_ptr_nonnull(strstr(said, ":3: "));
        ck_assert_ptr_nonnull(strstr(e.text, "2 wrong lines"));
        memset(end, 'p', 180);
        strcpy(end + 180, "\n");
        ck_assert_int_eq(read_text(text, &c, &e), 0);
        ck_assert_uint_eq(strlen(c.store[0].path), 181);
        config_clear(&c);
}
END_TEST

START_TEST(test_unreadable)
{
        struct config c = { .workers = 77 };
        struct error e = { 0 };

        ck_assert_int_eq(config_read(temp_path("missing.conf"), &c, &e), -ENOENT);
        ck_assert_ptr_nonnull(strstr(e.text, "missing.conf"));
        ck_assert_uint_eq(c.workers, 77);
}
END_TEST

START_TEST(test_check)
{
        struct config c;
        struct error e = { 0 };

        ck_assert_int_eq(read_text("[class default]\nlimit = 1G\n", &c, NULL), 0);
        ck_assert_int_eq(config_check(&c, GIB, NULL), 0);
        ck_assert_int_eq(config_check(&c, GIB - 1, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "limit"));
        config_clear(&c);
        e = (struct error){ 0 };
        ck_assert_int_eq(read_text("[store named]\npath =\n", &c, NULL), 0);
        ck_assert_int_eq(config_check(&c, GIB, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "named"));
        config_clear(&c);
        e = (struct error){ 0 };
        ck_assert_int_eq(read_text("[daemon]\nsocket = /a/s\ncontrol = /a/s\n", &c, NULL), 0);
        ck_assert_int_eq(config_check(&c, GIB, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "/a/s"));
        config_clear(&c);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("config");

        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_defaults);
        tcase_add_test(tc, test_all_keys);
        tcase_add_test(tc, test_indented);
        tcase_add_test(tc, test_kept);
        tcase_add_test(tc, test_stores);
        tcase_add_test(tc, test_little);
        tcase_add_test(tc, test_wrong);
        tcase_add_test(tc, test_many_wrong);
        tcase_add_test(tc, test_long_line);
        tcase_add_test(tc, test_unreadable);
        tcase_add_test(tc, test_check);
        return unit_run("config", tc);
}
