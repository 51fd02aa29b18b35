// SPDX-License-Identifier: GPL-2.0-or-later
/* What is taken as a server for a store, and what is refused, each with its line. */
#include "store/nbd-server.h"

#include <errno.h>

#include "nbd-rig.h"

/* The line says all of these. */
static void refused(const char *uri, uint64_t timeout, int code, const char *text)
{
        struct nbd_server *server = NULL;
        struct error e;
        int r = server_try(uri, 1, timeout, &server, &e);

        ck_assert_msg(r == code, "%s: %d, and not %d: %s", uri, r, code, e.text);
        ck_assert_ptr_null(server);
        ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" is not in: %s", text, e.text);
        ck_assert_ptr_nonnull(strstr(e.text, "store t: "));
        ck_assert_ptr_null(strchr(e.text, '\n'));
}

START_TEST(test_facts)
{
        struct nbd_server *server;
        const struct nbd_facts *facts;
        struct kit kit;

        kit_start(&kit, "unix:s", "memory", "67109376", NULL);
        server = server_open(kit.uri, 4, MINUTE);
        facts = nbd_server_facts(server);
        ck_assert_uint_eq(facts->bytes, 64 * MIB);
        ck_assert_uint_eq(facts->block_min, 1);
        ck_assert_uint_eq(facts->block_preferred, PAGE);
        ck_assert_uint_eq(facts->request_most, 256u << 10);
        ck_assert(facts->trim && facts->flush && facts->fua && facts->multi_conn && !facts->tls);
        nbd_server_close(server);
        kit_end(&kit);

        kit_start(&kit, "unix:s", "--filter=blocksize-policy", "--filter=multi-conn", "memory", "64M",
                  "blocksize-minimum=4096", "blocksize-preferred=65536", "blocksize-maximum=131072",
                  "multi-conn-mode=disable", NULL);
        server = server_open(kit.uri, 4, MINUTE);
        facts = nbd_server_facts(server);
        ck_assert_uint_eq(facts->block_min, 4096);
        ck_assert_uint_eq(facts->block_preferred, 65536);
        ck_assert_uint_eq(facts->request_most, 131072);
        ck_assert(!facts->multi_conn);
        nbd_server_close(server);
        kit_end(&kit);
        nbd_server_close(NULL);
}
END_TEST

START_TEST(test_exports)
{
        struct kit kit;

        kit_start(&kit, "unix:s", "-r", "memory", "64M", NULL);
        refused(kit.uri, MINUTE, -EROFS, "read-only");
        kit_end(&kit);
        kit_start(&kit, "unix:s", "memory", "1048575", NULL);
        refused(kit.uri, MINUTE, -EINVAL, "too small");
        kit_end(&kit);
        kit_start(&kit, "unix:s", "memory", "1M", NULL);
        nbd_server_close(server_open(kit.uri, 1, MINUTE));
        kit_end(&kit);
        kit_start(&kit, "unix:s", "--filter=blocksize-policy", "memory", "64M", "blocksize-minimum=8192",
                  "blocksize-preferred=8192", NULL);
        refused(kit.uri, MINUTE, -EINVAL, "8192 bytes at least");
        kit_end(&kit);
        kit_start(&kit, "unix:s", "--filter=exportname", "memory", "64M", "exportname=there", "exportname-strict=true",
                  NULL);
        refused(kit.uri, MINUTE, -ENOENT, "");
        snprintf(kit.uri, sizeof(kit.uri), "nbd+unix:///there?socket=%s", kit.socket);
        nbd_server_close(server_open(kit.uri, 1, MINUTE));
        kit_end(&kit);
}
END_TEST

START_TEST(test_uris)
{
        struct nbd_server *server = NULL;
        struct error e;
        uint16_t port = 0;
        char uri[300];

        refused("", MINUTE, -EINVAL, "is empty");
        refused("/var/lib/x", MINUTE, -EINVAL, "scheme");
        refused("http://localhost/", MINUTE, -EINVAL, "unknown NBD URI scheme");
        refused("nbd+unix:///", MINUTE, -EINVAL, "socket");
        refused("nbd://[::1/", MINUTE, -EINVAL, "");
        snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s/none", temp_dir);
        refused(uri, MINUTE, -ENOENT, "No such file");
        close(kit_listen(&port));
        snprintf(uri, sizeof(uri), "nbd://127.0.0.1:%u/", port);
        refused(uri, MINUTE, -ECONNREFUSED, "refused");
        refused("nbd://there.is.no.such.host.invalid/", MINUTE, -EHOSTUNREACH, "getaddrinfo");
        ck_assert_int_eq(server_try("nbd://x", 0, MINUTE, &server, &e), -EINVAL);
        ck_assert_int_eq(server_try("nbd://x", NBD_CONNECTIONS_MOST + 1, MINUTE, &server, &e), -EINVAL);
}
END_TEST

/* A socket that takes connections: _i 0 says nothing, 1 closes them, 2 talks of other things. */
START_TEST(test_no_nbd)
{
        struct sockaddr_in at;
        uint16_t port = 0;
        int fd = kit_listen(&port), c;
        socklen_t len = sizeof(at);
        char uri[64], byte;
        pid_t pid;

        snprintf(uri, sizeof(uri), "nbd://127.0.0.1:%u/", port);
        if (_i == 0) {
                refused(uri, 200 * MS, -ETIMEDOUT, "did not answer in 200ms");
                close(fd);
                return;
        }
        pid = fork();
        if (pid == 0) {
                c = accept(fd, (struct sockaddr *)&at, &len);
                if (_i == 2) {
                        dprintf(c, "220 mail.example.com ESMTP, what can I do for you today?\r\n");
                        while (read(c, &byte, 1) > 0)
                                ;
                }
                _exit(0);
        }
        close(fd);
        refused(uri, MINUTE, -EHOSTUNREACH, "cannot use the NBD server");
        waitpid(pid, NULL, 0);
}
END_TEST

/* TLS with keys that both have, over a unix socket and over TCP; without, with others, and the other way round. */
START_TEST(test_tls)
{
        char keys[400], uri[900], arg[500];
        struct nbd_server *server;
        FILE *f = fopen(temp_path("keys"), "w");
        struct kit kit;

        fprintf(f, "alice:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
        fclose(f);
        f = fopen(temp_path("others"), "w");
        fprintf(f, "alice:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
        fclose(f);
        snprintf(keys, sizeof(keys), "%s", temp_path("keys"));
        snprintf(arg, sizeof(arg), "--tls-psk=%s", keys);

        kit_start(&kit, _i ? "tcp" : "unix:s", "--tls=require", arg, "memory", "64M", NULL);
        if (_i)
                snprintf(uri, sizeof(uri), "nbds://alice@127.0.0.1:%u/?tls-psk-file=%s", kit.port, keys);
        else
                snprintf(uri, sizeof(uri), "nbds+unix://alice@/?socket=%s&tls-psk-file=%s", kit.socket, keys);
        server = server_open(uri, 1, MINUTE);
        ck_assert(nbd_server_facts(server)->tls);
        nbd_server_close(server);
        refused(kit.uri, MINUTE, -ENOTSUP, "");
        if (_i)
                snprintf(uri, sizeof(uri), "nbds://alice@127.0.0.1:%u/?tls-psk-file=%s", kit.port, temp_path("others"));
        else
                snprintf(uri, sizeof(uri), "nbds+unix://alice@/?socket=%s&tls-psk-file=%s", kit.socket,
                         temp_path("others"));
        refused(uri, MINUTE, -EHOSTUNREACH, "gnutls");
        kit_end(&kit);

        kit_start(&kit, "unix:s", "--tls=off", "memory", "64M", NULL);
        snprintf(uri, sizeof(uri), "nbds+unix://alice@/?socket=%s&tls-psk-file=%s", kit.socket, keys);
        refused(uri, MINUTE, -ENOTSUP, "TLS");
        kit_end(&kit);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("server");

#ifndef HAVE_LIBNBD
        puts("built without libnbd");
        return 77;
#endif
        nbd_skip();
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_facts);
        tcase_add_test(tc, test_exports);
        tcase_add_test(tc, test_uris);
        tcase_add_loop_test(tc, test_no_nbd, 0, 3);
        tcase_add_loop_test(tc, test_tls, 0, 2);
        return unit_run("nbd-server", tc);
}
