/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deliberate bugs, for the simulation alone: tests/sim/sim-bugs has the pager built with them, and has to find each
 * (CONTRIBUTING.md, "Tests"). In every other build bug() is false, and nothing is left of what it guards.
 */
#ifndef UTIL_BUG_H
#define UTIL_BUG_H

#include <stdbool.h>

#ifdef VMPAGER_SIM_BUGS

#define BUGS(X)                                                                        \
        X(NO_CLEARED, "a page that is being discarded may be evicted")                 \
        X(FAULTS_FIRST, "the faults of a batch are acted on before its events")        \
        X(FETCH_NOT_DROPPED, "a page is discarded while it is fetched: installed")     \
        X(FETCH_NOT_MOVED, "a page is moved while it is fetched: not followed")        \
        X(SLOT_NOT_MOVED, "a page is moved while it is written: not followed")         \
        X(SLOT_FREED_EARLY, "a slot is freed while it is being written")               \
        X(LOCATION_FREED_TWICE, "a dropped fetch frees its location twice")            \
        X(WRITING_NOT_COUNTED, "what is being written takes nothing of the swap")      \
        X(FULL_STALLS_STORED, "what waits for room stays when the store gets full")    \
        X(LOCATION_FREED_EARLY, "a location is freed when its read begins")            \
        X(READ_ERROR_IGNORED, "what a failed read brought is installed")               \
        X(WRITE_ERROR_IGNORED, "a failed write is taken for one that succeeded")       \
        X(AHEAD_NOT_DROPPED, "a page that was brought along and is gone: installed")   \
        X(CLUSTER_POISONED, "a read of many fails: all of them are taken for lost")    \
        X(SAME_ALWAYS, "a page that has come back is taken for unchanged")             \
        X(EEXIST_IS_ERROR, "a page that is there already is taken for an error")       \
        X(EAGAIN_DROPPED, "a fault that met EAGAIN is forgotten")                      \
        X(NO_RETRY_TIMER, "what met EAGAIN is tried again at events alone")            \
        X(NO_EPOCH, "events leave orders valid")                                       \
        X(REMOVE_KEEPS_ORDERS, "a REMOVE in the journal leaves orders valid")          \
        X(GATE_IGNORED, "events are read while the agent moves pages")                 \
        X(BUSY_IS_MOVED, "a pinned page is taken for a moved one")                     \
        X(BARE_IS_MARKED, "a page without a mark is taken for a marked one")           \
        X(MARKS_IGNORED, "the first order of events that is possible is taken")        \
        X(UNMAP_AS_READ, "an UNMAP is carried out ahead of a REMAP read before it")    \
        X(MISSING_MARK, "a page without a mark is dropped while things change")        \
        X(AVOIDS_BRIEFLY, "a search avoids a chunk for some of its rounds alone")      \
        X(FORK_TAKES_NO_REF, "a child shares locations without a reference")           \
        X(CHILD_FREES_ALL, "a child that discards a page frees its parent's, too")     \
        X(SLOT_NOT_COPIED, "a child's slot is left as it is")                          \
        X(FORK_NOT_COLLECTED, "what is completed when a child is made is not seen")    \
        X(FORK_IN_A_BATCH, "a fork is carried out while a batch is half done")         \
        X(EVICTING_IS_OUT, "so it is, and what is on its way out is taken for out")    \
        X(FORK_AFTER_EVENTS, "a fork is carried out after the events it waited by")    \
        X(FORK_FORGOTTEN, "a fork that waits when the parent ends is forgotten")       \
        X(MOVES_NOT_TOLD, "a child does not hear of what its parent moved")            \
        X(GRANDCHILD_NOT_TOLD, "and that one's child not of what the first one moved") \
        X(SETTLED_EARLY, "a child is served before its parent is at rest")             \
        X(UNSETTLED_AS_READ, "a child's events are carried out before that")           \
        X(NOTES_TRUSTED, "what is noted of a child is taken for what it has")          \
        X(HEIR_KEEPS_ALL, "notes of pages that a child does not have are kept")        \
        X(BARE_IS_SHARED, "a page without a mark is shared where events wait")         \
        X(ORPHAN_TRUSTED, "what is noted of an orphan is not looked at")

#define BUG_ENUM(name, text) BUG_##name,
enum bug { BUG_NONE, BUGS(BUG_ENUM) N_BUGS };

extern enum bug bug_chosen;

#define bug(name) (bug_chosen == BUG_##name)

#else

#define bug(name) false

#endif

#endif
