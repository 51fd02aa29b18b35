// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket: SOCK_STREAM, a JSON object a line each way. One connection serves one question here.
 */
#include "vmpagerctl/control.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/endpoint.h"

#define REPLY_MOST (64u << 20) /* bytes; a bound on what a daemon gone mad can make us hold */
#define REPLY_STEP 65536u

static void json_putp(struct json_object **o)
{
        json_object_put(*o);
}

static int lost(const struct endpoint *at, struct error *e, int r)
{
        if (r == -ETIMEDOUT)
                return error_set(e, r, "vmpagerd at %s has not answered for %d s", at->path,
                                 ENDPOINT_PATIENCE_MS / 1000);
        if (r == -EPIPE || r == -ECONNRESET)
                return error_set(e, r, "vmpagerd at %s has closed the connection without an answer", at->path);
        return error_sys(e, r, "cannot talk to vmpagerd at %s", at->path);
}

static int tell(int fd, const char *text, size_t len, int64_t deadline)
{
        while (len) {
                ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN) {
                        int r = endpoint_wait(fd, POLLOUT, deadline);

                        if (r < 0)
                                return r;
                } else if (n < 0 && errno != EINTR) {
                        return -errno;
                } else if (n > 0) {
                        text += n;
                        len -= (size_t)n;
                }
        }
        return 0;
}

/* Reads one line. *out is NUL-terminated, without its newline, to be freed. */
static int hear(int fd, char **out, int64_t deadline)
{
        _cleanup_(freep) char *text = NULL;
        size_t used = 0;

        for (;;) {
                char *longer = realloc(text, used + REPLY_STEP + 1), *end;
                ssize_t n;
                int r;

                if (!longer)
                        return -ENOMEM;
                text = longer;
                r = endpoint_wait(fd, POLLIN, deadline);
                if (r < 0)
                        return r;
                n = recv(fd, text + used, REPLY_STEP, 0);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                end = memchr(text + used, '\n', (size_t)n);
                used += (size_t)n;
                if (end) {
                        *end = '\0';
                        *out = text;
                        text = NULL;
                        return 0;
                }
                if (used > REPLY_MOST)
                        return -EMSGSIZE;
        }
}

static int judge(const struct endpoint *at, const char *text, struct json_object **reply, struct error *e)
{
        _cleanup_(json_putp) struct json_object *o = json_tokener_parse(text);
        struct json_object *ok = NULL, *why = NULL;

        if (!o || !json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, "ok", &ok))
                return error_set(e, -EPROTO, "what answers at %s is not vmpagerd's control socket", at->path);
        if (!json_object_get_boolean(ok)) {
                json_object_object_get_ex(o, "error", &why);
                return error_set(e, -EREMOTEIO, "%s", why ? json_object_get_string(why) : "vmpagerd gives no reason");
        }
        *reply = o;
        o = NULL;
        return 0;
}

int control_ask(const struct endpoint *at, const char *command, int pid, struct json_object **reply, struct error *e)
{
        _cleanup_(json_putp) struct json_object *question = json_object_new_object();
        _cleanup_(closep) int fd = endpoint_connect(at, SOCK_STREAM, e);
        int64_t deadline = endpoint_deadline(ENDPOINT_PATIENCE_MS);
        _cleanup_(freep) char *text = NULL;
        const char *line;
        int r;

        if (fd < 0)
                return fd;
        if (!question)
                return error_set(e, -ENOMEM, "out of memory");
        json_object_object_add(question, "command", json_object_new_string(command));
        if (pid)
                json_object_object_add(question, "pid", json_object_new_int(pid));
        line = json_object_to_json_string_ext(question, JSON_C_TO_STRING_PLAIN);
        r = tell(fd, line, strlen(line), deadline);
        if (!r)
                r = tell(fd, "\n", 1, deadline);
        if (!r)
                r = hear(fd, &text, deadline);
        if (r < 0)
                return lost(at, e, r);
        return judge(at, text, reply, e);
}
