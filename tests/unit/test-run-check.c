// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs are written here byte by byte: headers of an ELF file are all that the check looks at. */
#include "vmpagerctl/run-check.c" /* the tool is no library */

#include "unit-run.h"

#define OTHER_CLASS (sizeof(void *) == 8 ? ELFCLASS32 : ELFCLASS64)

static char dir[64];
static struct error e;

static void setup(void)
{
        memset(&e, 0, sizeof(e));
        strcpy(dir, "/tmp/vmpager-check-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        ck_assert_int_eq(chdir(dir), 0);
}

static void teardown(void)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -rf %s", dir);
        ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const void *data, size_t len, mode_t mode)
{
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
        ck_assert_int_eq(fchmod(fd, mode), 0);
        close(fd);
}

static void put_text(const char *name, const char *text)
{
        put(name, text, strlen(text), 0755);
}

struct image {
        ElfW(Ehdr) h;
        ElfW(Phdr) p[2];
};

/* A program for this machine, with a dynamic linker or without. */
static struct image image(bool dynamic)
{
        struct image i = {
                .h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32 },
                       .e_machine = OWN_MACHINE,
                       .e_phoff = offsetof(struct image, p),
                       .e_phentsize = sizeof(i.p[0]),
                       .e_phnum = 2 },
                .p = { { .p_type = PT_LOAD }, { .p_type = dynamic ? PT_INTERP : PT_LOAD } },
        };

        return i;
}

static void refused(const char *name, int code, const char *why)
{
        memset(&e, 0, sizeof(e));
        ck_assert_int_eq(run_check_loadable(name, &e), code);
        ck_assert_msg(strstr(e.text, why) && strstr(e.text, name), "%s", e.text);
}

START_TEST(test_dynamic)
{
        struct image i = image(true);

        put("program", &i, sizeof(i), 0755);
        ck_assert_int_eq(run_check_loadable("program", &e), 0);
        ck_assert_int_eq(run_check_loadable("/bin/sh", &e), 0);
        ck_assert_int_eq(e.code, 0);
}
END_TEST

START_TEST(test_static)
{
        struct image i = image(false);

        put("program", &i, sizeof(i), 0755);
        refused("program", -ENOEXEC, "statically linked");
}
END_TEST

START_TEST(test_other_machines)
{
        struct image i = image(true);

        i.h.e_ident[EI_CLASS] = OTHER_CLASS;
        put("program", &i, sizeof(i), 0755);
        refused("program", -ENOEXEC, "-bit program");
        i = image(true);
        i.h.e_machine = EM_SPARCV9;
        put("program", &i, sizeof(i), 0755);
        refused("program", -ENOEXEC, "another kind of machine");
}
END_TEST

START_TEST(test_privileged)
{
        struct image i = image(true);

        put("program", &i, sizeof(i), 04755);
        refused("program", -EPERM, "set-uid");
        put("program", &i, sizeof(i), 02755);
        refused("program", -EPERM, "set-gid");
        put("program", &i, sizeof(i), 02745); /* mandatory locking's mark of old, no set-gid */
        ck_assert_int_eq(run_check_loadable("program", &e), 0);
}
END_TEST

START_TEST(test_cut_short)
{
        struct image i = image(true);

        put("program", &i, 20, 0755);
        refused("program", -ENOEXEC, "cut short");
        put("program", &i, offsetof(struct image, p[1]), 0755);
        refused("program", -ENOEXEC, "cut short");
        i.h.e_phoff = UINT32_MAX;
        put("program", &i, sizeof(i), 0755);
        refused("program", -ENOEXEC, "cut short");
}
END_TEST

START_TEST(test_script)
{
        struct image dynamic = image(true), fixed = image(false);

        put("dynamic", &dynamic, sizeof(dynamic), 0755);
        put("fixed", &fixed, sizeof(fixed), 0755);
        put_text("good", "#! ./dynamic -x\nmore\n");
        put_text("bad", "#!./fixed\n");
        put_text("worse", "#!./bad");
        put_text("none", "#!  \n./fixed\n");
        put_text("round", "#!./round\n");
        put_text("bare", "echo without a first line\n");
        ck_assert_int_eq(run_check_loadable("good", &e), 0);
        ck_assert_int_eq(run_check_loadable("bare", &e), 0);
        refused("none", -ENOEXEC, "names no interpreter");
        refused("round", -ENOEXEC, "too many interpreters");

        memset(&e, 0, sizeof(e));
        ck_assert_int_eq(run_check_loadable("bad", &e), -ENOEXEC);
        ck_assert_ptr_nonnull(strstr(e.text, "./fixed is statically linked"));
        memset(&e, 0, sizeof(e));
        ck_assert_int_eq(run_check_loadable("worse", &e), -ENOEXEC);
        ck_assert_ptr_nonnull(strstr(e.text, "./fixed is statically linked"));
}
END_TEST

static void finds(const char *command, const char *search, int r, const char *path)
{
        char *found = NULL;

        memset(&e, 0, sizeof(e));
        ck_assert_int_eq(run_check_find(command, search, &found, &e), r);
        if (r == 0)
                ck_assert_str_eq(found, path);
        else
                ck_assert_msg(!found && strstr(e.text, path), "%s", e.text);
        free(found);
}

START_TEST(test_find)
{
        mkdir("a", 0755);
        mkdir("b", 0755);
        mkdir("b/folder", 0755);
        put("a/closed", "x", 1, 0644);
        put("b/both", "x", 1, 0755);
        put("b/closed", "x", 1, 0644);
        put("a/both", "x", 1, 0755);
        put("here", "x", 1, 0755);
        finds("both", "a:b", 0, "a/both");
        finds("both", "none:b:a", 0, "b/both");
        finds("closed", "b:a", -EACCES, "b/closed");
        finds("folder", "a:b", -ENOENT, "folder: command not found");
        finds("here", "a::b", 0, "./here");
        finds("here", "a:", 0, "./here");
        finds("here", "a:b", -ENOENT, "here: command not found");
        finds("sh", NULL, 0, access("/bin/sh", X_OK) ? "" : "/bin/sh");
        finds("./here", "a", 0, "./here");
        finds("a/none", "a", -ENOENT, "a/none: no such file");
        finds("a/closed", "a", -EACCES, "a/closed");
        finds("./b", "a", -EISDIR, "./b");
        finds("", "a", -ENOENT, "empty");
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("run-check");

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_dynamic);
        tcase_add_test(tc, test_static);
        tcase_add_test(tc, test_other_machines);
        tcase_add_test(tc, test_privileged);
        tcase_add_test(tc, test_cut_short);
        tcase_add_test(tc, test_script);
        tcase_add_test(tc, test_find);
        return unit_run("run-check", tc);
}
