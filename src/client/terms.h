/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLIENT_TERMS_H
#define CLIENT_TERMS_H

#include <stdint.h>

/* What a client may take. */
struct client_terms {
        uint64_t limit; /* bytes of memory; 0: no limit */
        uint64_t swap;  /* bytes of its pages in the store (space_set_swap()); 0: no limit */
        uint64_t grant; /* number of the grant that says so; 0: none does */
};

#endif
