/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The legal transitions between page states. An event of the client's (REMOVE, UNMAP, REMAP) can take any
 * state to CLEARED or NATIVE, and REMAP can put any state at an address that was NATIVE; all
 * others are steps of a fault or of an eviction.
 */
#include "model/page.h"

const char *page_state_name(enum page_state state)
{
        static const char *const name[PAGE_N_STATES] = {
                "native", "cleared", "evicting", "standby", "stored", "fetching", "clean", "poisoned", "zero",
        };

        return state < PAGE_N_STATES ? name[state] : "invalid";
}

#define TO(state) (1u << (state))

bool page_may_become(enum page_state from, enum page_state to)
{
        static const unsigned allowed[PAGE_N_STATES] = {
                /* A REMAP event may bring anything here, so all is allowed from NATIVE. */
                [PAGE_NATIVE] = (1u << PAGE_N_STATES) - 1,
                [PAGE_CLEARED] = TO(PAGE_NATIVE),
                [PAGE_EVICTING] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED) | TO(PAGE_STANDBY) | TO(PAGE_CLEAN) |
                                  TO(PAGE_ZERO),
                [PAGE_STANDBY] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED) | TO(PAGE_STORED) | TO(PAGE_CLEAN),
                [PAGE_STORED] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED) | TO(PAGE_FETCHING),
                [PAGE_FETCHING] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED) | TO(PAGE_CLEAN) | TO(PAGE_STORED) |
                                  TO(PAGE_POISONED),
                [PAGE_CLEAN] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED) | TO(PAGE_EVICTING) | TO(PAGE_STORED),
                [PAGE_POISONED] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED),
                [PAGE_ZERO] = TO(PAGE_NATIVE) | TO(PAGE_CLEARED),
        };

        if (from >= PAGE_N_STATES || to >= PAGE_N_STATES)
                return false;
        return from == to || (allowed[from] & TO(to));
}
