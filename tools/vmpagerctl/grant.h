/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_GRANT_H
#define VMPAGERCTL_GRANT_H

#include <stdint.h>

struct endpoint;
struct error;

/*
 * Asks vmpagerd for a limit (bytes; 0: what the default class has), and so many bytes in the store (0: likewise), for
 * this process and all that will descend from it. Returns the connection, which has to stay open as long as the grant
 * is to hold; or a negative errno: with endpoint_absent() nobody is there, otherwise e has a text.
 */
int grant_open(const struct endpoint *at, uint64_t limit, uint64_t swap, struct error *e);

/*
 * The statistics, as JSON, of all programs that ran under the grant. On success *json is a text to be freed.
 * -ETIMEDOUT, -EPROTO and others with a text in e.
 */
int grant_stats(int fd, char **json, struct error *e);

#endif
