/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: one JSON object a line in, one a line out. A connection may ask as often as it likes; one
 * question is answered before the next is read.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "control/server.h"

#define LINE_MAX_ 65536

struct connection {
        struct server *server;
        int sock;
        struct op recv_op, send_op;
        char line[LINE_MAX_];
        size_t len;
        char *reply;
        size_t reply_len, reply_at;
};

static void connection_free(struct connection *c)
{
        close(c->sock);
        free(c->reply);
        free(c);
}

static struct json_object *failure(const char *text)
{
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "ok", json_object_new_boolean(0));
        json_object_object_add(o, "error", json_object_new_string(text));
        return o;
}

static struct json_object *success(const char *name, struct json_object *value)
{
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "ok", json_object_new_boolean(1));
        json_object_object_add(o, name, value);
        return o;
}

static struct json_object *do_stats(struct server *s, struct json_object *request)
{
        struct json_object *pid = NULL, *stats, *clients;

        json_object_object_get_ex(request, "pid", &pid);
        stats = report_stats(s, NULL, pid ? json_object_get_int(pid) : 0);
        json_object_object_get_ex(stats, "clients", &clients);
        if (pid && json_object_array_length(clients) == 0) {
                json_object_put(stats);
                return failure("no client has that process id");
        }
        return success("stats", stats);
}

static struct json_object *do_version(struct server *s, struct json_object *request)
{
        struct json_object *o = success("version", json_object_new_string(PACKAGE_VERSION));
        char protocol[16];

        (void)s;
        (void)request;
        snprintf(protocol, sizeof(protocol), "%d.%d", VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR);
        json_object_object_add(o, "protocol", json_object_new_string(protocol));
        return o;
}

static const struct {
        const char *name;
        struct json_object *(*run)(struct server *s, struct json_object *request);
} commands[] = {
        { "stats", do_stats },
        { "version", do_version },
};

static struct json_object *answer(struct server *s, const char *line)
{
        struct json_object *request = json_tokener_parse(line), *name, *reply = NULL;

        if (!json_object_is_type(request, json_type_object) || !json_object_object_get_ex(request, "command", &name))
                reply = failure("a request is one JSON object a line with a \"command\"");
        for (size_t i = 0; !reply && i < sizeof(commands) / sizeof(commands[0]); i++)
                if (strcmp(json_object_get_string(name), commands[i].name) == 0)
                        reply = commands[i].run(s, request);
        if (!reply)
                reply = failure("there is no such command");
        json_object_put(request);
        return reply;
}

static void receive(struct connection *c)
{
        loop_read(c->server->loop, &c->recv_op, c->sock, c->line + c->len, (unsigned)(sizeof(c->line) - 1 - c->len),
                  (uint64_t)-1);
}

static void send_rest(struct connection *c)
{
        loop_write(c->server->loop, &c->send_op, c->sock, c->reply + c->reply_at,
                   (unsigned)(c->reply_len - c->reply_at), (uint64_t)-1);
}

/* Answers the first complete line, or reads on. */
static void next_line(struct connection *c)
{
        char *end = memchr(c->line, '\n', c->len);
        struct json_object *o;
        const char *text;
        size_t used;

        if (!end && c->len == sizeof(c->line) - 1) {
                connection_free(c);
                return;
        }
        if (!end) {
                receive(c);
                return;
        }
        *end = '\0';
        o = answer(c->server, c->line);
        used = (size_t)(end + 1 - c->line);
        memmove(c->line, end + 1, c->len - used);
        c->len -= used;
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        c->reply_len = strlen(text) + 1;
        c->reply_at = 0;
        c->reply = malloc(c->reply_len + 1);
        if (c->reply) {
                memcpy(c->reply, text, c->reply_len - 1);
                c->reply[c->reply_len - 1] = '\n';
        }
        json_object_put(o);
        if (c->reply)
                send_rest(c);
        else
                connection_free(c);
}

static void on_recv(struct op *op, int res, unsigned flags)
{
        struct connection *c = op_owner(op, struct connection, recv_op);

        (void)flags;
        if (res <= 0) {
                connection_free(c);
                return;
        }
        c->len += (size_t)res;
        next_line(c);
}

static void on_send(struct op *op, int res, unsigned flags)
{
        struct connection *c = op_owner(op, struct connection, send_op);

        (void)flags;
        if (res <= 0) {
                connection_free(c);
                return;
        }
        c->reply_at += (size_t)res;
        if (c->reply_at < c->reply_len) {
                send_rest(c);
                return;
        }
        free(c->reply);
        c->reply = NULL;
        next_line(c);
}

void command_start(struct server *s, int sock)
{
        struct connection *c = calloc(1, sizeof(*c));

        if (!c) {
                close(sock);
                return;
        }
        c->server = s;
        c->sock = sock;
        c->recv_op.done = on_recv;
        c->send_op.done = on_send;
        receive(c);
}
