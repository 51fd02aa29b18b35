/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_FILE_DISCARD_H
#define STORE_FILE_DISCARD_H

struct medium;
struct medium_file_config;
struct open_file;

/*
 * Fills in m->discard for a file or block device that is open. Where discards are asked for and there are none it says
 * so in the log. What the kernel does not tell is tried: the first one may still be refused.
 */
void file_discard_find(const struct medium_file_config *config, const struct open_file *file, struct medium *m);

#endif
