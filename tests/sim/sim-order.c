// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads that map, move, grow, discard and unmap memory, a kernel that queues the events of their calls late and in
 * any order that Linux can, and a reader that has to find out where every page has gone.
 *
 *     sim-order [--seed N] [--steps N] [--all]
 *
 * With --all there are also the two things that order.c does not always tell apart: mappings that grow in place while
 * events are still to come, and MREMAP_DONTUNMAP.
 *
 * A page that is "out" has a label; what is asked of order_find() is where each label is at the end. It may say that it
 * cannot tell; it may never be wrong.
 */
#include "model/order.h"

#include <string.h>

#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "random.h"

#define PAGES   96u
#define PAGE    UINT64_C(4096)
#define BASE    UINT64_C(0x10000)
#define BLOCKS  24u
#define THREADS 5u
#define EVENTS  256u
#define NOBODY  THREADS

static uint64_t address(unsigned page)
{
        return BASE + page * PAGE;
}

struct block {
        unsigned start, n, owner;
        bool registered, grown; /* grown in this episode */
};

struct thread {
        struct order_event event[4]; /* of its call, those that were not read yet */
        unsigned n_events;
        bool queued; /* the first of them is in the queue */
};

/* Truth. */
static struct block block[BLOCKS];
static unsigned n_blocks;
static bool all;       /* what is asked for by --all */
static bool any_grown; /* one in an episode */
static struct thread thread[THREADS];
static unsigned label[PAGES], before[PAGES]; /* 0: in memory, or nothing there */
static bool discarded[PAGES * 64];           /* by label */
static unsigned last_label;
static bool marked[PAGES];

/* The reader's. */
static struct order_event journal[EVENTS];
static unsigned n_journal, queue[THREADS], n_queue;
static struct region_set certain;

static struct sim_random random_state;

static unsigned any(unsigned n)
{
        return sim_random_any(&random_state, n);
}

static bool is_free(unsigned start, unsigned n)
{
        if (start + n > PAGES)
                return false;
        for (unsigned i = 0; i < n_blocks; i++)
                if (block[i].start < start + n && start < block[i].start + block[i].n)
                        return false;
        return true;
}

/* The highest place where n pages fit, as Linux does it, or sometimes any. PAGES: none. */
static unsigned find_place(unsigned n)
{
        if (any(3) == 0)
                for (unsigned tries = 0; tries < 8; tries++) {
                        unsigned at = any(PAGES);

                        if (is_free(at, n))
                                return at;
                }
        for (unsigned at = PAGES - n + 1; at-- > 0;)
                if (is_free(at, n))
                        return at;
        return PAGES;
}

static void tell(struct thread *t, enum order_kind kind, unsigned start, unsigned n, unsigned to)
{
        t->event[t->n_events++] = (struct order_event){ kind, address(start), address(start + n), address(to) };
}

static void add_block(unsigned start, unsigned n, struct block like)
{
        like.start = start;
        like.n = n;
        block[n_blocks++] = like;
}

static void wipe(unsigned start, unsigned n)
{
        for (unsigned i = start; i < start + n; i++)
                label[i] = marked[i] = 0;
}

static void unmap(struct thread *t, unsigned b)
{
        struct block old = block[b];
        unsigned first = 0, n = old.n;

        if (old.n > 2 && any(3) == 0 && n_blocks + 1 < BLOCKS) {
                first = any(old.n - 1);
                n = 1 + any(old.n - first);
        }
        block[b] = block[--n_blocks];
        if (first)
                add_block(old.start, first, old);
        if (first + n < old.n)
                add_block(old.start + first + n, old.n - first - n, old);
        wipe(old.start + first, n);
        if (old.registered)
                tell(t, ORDER_UNMAP, old.start + first, n, 0);
}

/* mremap(MREMAP_MAYMOVE), to a free place, or with MREMAP_FIXED to where another block of the thread's is. */
static void move(struct thread *t, unsigned b)
{
        struct block old = block[b];
        unsigned n = old.n, to, over = BLOCKS;

        if (any(3) == 0)
                n = any_grown ? 1 + any(old.n) : 1 + any(8);
        for (unsigned i = 0; i < n_blocks && any(2); i++)
                if (i != b && block[i].owner == old.owner && block[i].n == n)
                        over = i;
        to = over < BLOCKS ? block[over].start : find_place(n);
        if (to == PAGES)
                return;
        if (over < BLOCKS) {
                wipe(to, n);
                if (block[over].registered)
                        tell(t, ORDER_UNMAP, to, n, 0);
                block[over] = block[n_blocks - 1];
                if (b == n_blocks - 1)
                        b = over;
                n_blocks--;
        }
        if (n < old.n) {
                wipe(old.start + n, old.n - n);
                if (old.registered)
                        tell(t, ORDER_UNMAP, old.start + n, old.n - n, 0);
                old.n = n;
        }
        any_grown |= n > old.n;
        wipe(to, n);
        for (unsigned i = 0; i < old.n; i++) {
                label[to + i] = label[old.start + i];
                marked[to + i] = marked[old.start + i];
        }
        wipe(old.start, old.n);
        block[b] = (struct block){ to, n, old.owner, old.registered, n > old.n };
        if (!old.registered)
                return;
        tell(t, ORDER_REMAP, old.start, old.n, to);
        if (!all || any(8))
                tell(t, ORDER_UNMAP, old.start, old.n, 0);
        else
                add_block(old.start, old.n,
                          (struct block){ .owner = NOBODY, .registered = true }); /* MREMAP_DONTUNMAP */
}

/* The event comes before the pages are zapped; with MADV_FREE absent pages keep their marks. */
static void discard(struct thread *t, unsigned b)
{
        unsigned first = any(block[b].n), n = 1 + any(block[b].n - first);

        if (block[b].registered)
                tell(t, ORDER_REMOVE, block[b].start + first, n, any(2));
        else
                wipe(block[b].start + first, n);
}

static void zap(const struct order_event *e)
{
        unsigned start = (unsigned)((e->start - BASE) / PAGE), end = (unsigned)((e->end - BASE) / PAGE);

        for (unsigned i = start; i < end; i++) {
                discarded[label[i]] = true;
                label[i] = 0;
                if (e->to != address(0))
                        marked[i] = false;
        }
}

static void grow(unsigned b)
{
        unsigned n = 1 + any(4);

        if (!any_grown && is_free(block[b].start + block[b].n, n)) {
                wipe(block[b].start + block[b].n, n);
                block[b].n += n;
                block[b].grown = any_grown = true;
        }
}

static void call(unsigned number)
{
        struct thread *t = &thread[number];
        unsigned mine[BLOCKS], n = 0, b;

        for (unsigned i = 0; i < n_blocks; i++)
                if (block[i].owner == number)
                        mine[n++] = i;
        if ((n == 0 || any(5) == 0) && n_blocks + 2 < BLOCKS) {
                unsigned size = 1 + any(8), at = find_place(size);

                if (at < PAGES) {
                        wipe(at, size);
                        add_block(at, size, (struct block){ .owner = number });
                }
                return;
        }
        if (n == 0)
                return;
        b = mine[any(n)];
        switch (any(8)) {
        case 0:
        case 1:
                unmap(t, b);
                break;
        case 2:
        case 3:
        case 4:
                if (n_blocks + 2 < BLOCKS)
                        move(t, b);
                break;
        case 5:
                if (!block[b].grown)
                        discard(t, b);
                break;
        case 6:
                grow(b);
                break;
        default:
                block[b].owner = any(THREADS); /* handed over by a thread that is in no call */
                break;
        }
        t->queued = false;
}

static void read_one(void)
{
        struct thread *t = &thread[queue[0]];

        memmove(queue, queue + 1, --n_queue * sizeof(queue[0]));
        journal[n_journal++] = t->event[0];
        if (t->event[0].kind == ORDER_REMOVE)
                zap(&t->event[0]);
        memmove(t->event, t->event + 1, --t->n_events * sizeof(t->event[0]));
        t->queued = false;
}

static void step(bool calls)
{
        unsigned number = any(THREADS + 2);

        if (number >= THREADS) {
                if (n_queue)
                        read_one();
        } else if (thread[number].n_events == 0) {
                if (calls)
                        call(number);
        } else if (!thread[number].queued) {
                thread[number].queued = true;
                queue[n_queue++] = number;
        }
}

static bool quiescent(void)
{
        for (unsigned i = 0; i < THREADS; i++)
                if (thread[i].n_events)
                        return false;
        return true;
}

/* Where the labels are by an outcome. */
static void place(const struct pieces *p, unsigned *out, bool *excused)
{
        memset(out, 0, PAGES * sizeof(*out));
        memset(excused, 0, PAGES * sizeof(*excused));
        for (size_t i = 0; i < p->n; i++)
                for (uint64_t a = 0; a < p->v[i].len; a += PAGE) {
                        unsigned from = (unsigned)((p->v[i].origin + a - BASE) / PAGE);
                        unsigned to = (unsigned)((p->v[i].at + a - BASE) / PAGE);

                        if (p->v[i].discarded)
                                excused[to] = true;
                        else
                                out[to] = before[from];
                }
}

static uint64_t judge(void *arg, const struct pieces *p)
{
        unsigned out[PAGES];
        bool excused[PAGES];
        uint64_t hash = 1;

        (void)arg;
        place(p, out, excused);
        for (unsigned i = 0; i < PAGES; i++) {
                if (!excused[i] && (out[i] != 0) != marked[i])
                        return 0;
                hash = (hash ^ out[i]) * UINT64_C(0x100000001b3);
        }
        return hash | 1;
}

/* Carries the events out in an order and compares with the truth. */
static bool is_true(const uint32_t *order, size_t n, bool tell_all)
{
        struct pieces p = { 0 };
        unsigned out[PAGES];
        bool excused[PAGES], right = true;

        pieces_add(&p, BASE, BASE, PAGES * PAGE);
        for (size_t i = 0; i < n; i++) {
                const struct order_event *e = &journal[order[i]];

                if (e->kind == ORDER_REMAP)
                        pieces_move(&p, e->start, e->to, e->end - e->start);
                else if (e->kind == ORDER_UNMAP)
                        pieces_drop(&p, e->start, e->end);
                else
                        pieces_discard(&p, e->start, e->end);
        }
        place(&p, out, excused);
        for (unsigned i = 0; i < PAGES; i++) {
                right &= out[i] == label[i];
                if (tell_all && (before[i] || label[i] || out[i]))
                        printf("  page %u: held %u, holds %u, by the outcome %u%s\n", i, before[i], label[i], out[i],
                               marked[i] ? ", marked" : "");
        }
        pieces_clear(&p);
        return right;
}

/* Nothing is under way: what is registered, known and out from here on. */
static void begin_episode(void)
{
        n_journal = 0;
        memset(discarded, 0, sizeof(discarded));
        last_label = 0;
        any_grown = !all;
        region_clear(&certain);
        for (unsigned i = 0; i < n_blocks; i++) {
                unsigned n = block[i].n;

                block[i].grown = false;
                if (block[i].owner == NOBODY)
                        block[i].owner = any(THREADS);
                block[i].registered |= any(3) != 0;
                if (!block[i].registered)
                        continue;
                if (any(4) == 0)
                        n -= any(n + 1); /* it grew, or was just registered: nothing was taken from there */
                wipe(block[i].start + n, block[i].n - n);
                region_add(&certain, address(block[i].start), address(block[i].start + n));
                for (unsigned k = block[i].start; k < block[i].start + n; k++) {
                        if (any(8) == 0)
                                label[k] = 0;
                        else if (any(3) == 0 || label[k])
                                label[k] = ++last_label;
                        marked[k] = label[k] != 0;
                }
        }
        memcpy(before, label, sizeof(label));
}

static void show(const uint32_t *order, size_t n)
{
        static const char *const name[] = { "REMOVE", "UNMAP", "REMAP" };

        for (unsigned i = 0; i < n_journal; i++)
                printf("  read %u: %s %u-%u to %u\n", i, name[journal[i].kind],
                       (unsigned)((journal[i].start - BASE) / PAGE), (unsigned)((journal[i].end - BASE) / PAGE),
                       journal[i].kind == ORDER_REMAP ? (unsigned)((journal[i].to - BASE) / PAGE) : 0);
        for (size_t i = 0; i < n; i++)
                printf("  carried out: %u\n", order[i]);
}

int main(int argc, char **argv)
{
        struct sim_options o = sim_options_parse(argc, argv, 20000000);
        unsigned long episodes = 0, unclear = 0, other_order = 0;
        uint64_t steps = 0;

        all = o.all;
        random_state.state = o.seed;
        for (; steps < o.steps; episodes++) {
                uint32_t order[EVENTS];
                size_t n = 0;
                unsigned calls = 10 + any(120);
                struct order_question q = {
                        .events = journal, .certain = &certain, .perhaps = &certain, .on_the_way = true, .judge = judge
                };
                int r;

                begin_episode();
                for (; calls-- && n_journal < EVENTS / 2; steps++)
                        step(true);
                for (; !quiescent(); steps++)
                        step(false);
                q.n = n_journal;
                r = order_find(&q, order, &n);
                if (r == 0) {
                        unclear++;
                        continue;
                }
                if (r < 0 || !is_true(order, n, false)) {
                        printf("episode %lu: result %d, and that is not how it was\n", episodes, r);
                        show(order, n);
                        is_true(order, n, true);
                        return EXIT_FAILURE;
                }
                for (size_t k = 1; k < n; k++)
                        if (order[k] < order[k - 1]) {
                                other_order++;
                                break;
                        }
        }
        region_clear(&certain);
        printf("seed %llu: %llu steps, %lu episodes, %lu in another order than read, %lu unclear\n",
               (unsigned long long)o.seed, (unsigned long long)steps, episodes, other_order, unclear);
        return EXIT_SUCCESS;
}
