/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_CONTROL_H
#define VMPAGERCTL_CONTROL_H

struct endpoint;
struct error;
struct json_object;

/*
 * Asks vmpagerd one question on its control socket: {"command": command}, with "pid" where pid is not 0. On
 * success *reply is its answer, an object whose "ok" is true; put it with json_object_put(). A negative errno
 * otherwise: with endpoint_absent() nobody is there, else e has a text, which is the daemon's own for
 * -EREMOTEIO.
 */
int control_ask(const struct endpoint *at, const char *command, int pid, struct json_object **reply, struct error *e);

#endif
