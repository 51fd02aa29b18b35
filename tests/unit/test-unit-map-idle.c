// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which groups of a unit map are taken for a discard: under random use, by a model with a byte for each unit. What is
 * taken is free, was so at a look before, and held something since it was last taken; nothing that is so is left.
 */
#include "store/unit-map.h"

#include <stdlib.h>

#include "unit-run.h"

#define GROUPS 13u
#define UNITS  ((GROUPS - 1) * UNIT_MAP_GROUP + 700) /* the last one is small */
#define RUNS   64u

struct run {
        uint64_t first;
        uint32_t units; /* 0: none */
};

struct model {
        struct unit_map *map;
        unsigned char taken[UNITS];
        uint32_t used[GROUPS]; /* units of them that are taken */
        bool stale[GROUPS], closed[GROUPS];
        unsigned looks[GROUPS]; /* in which the group was idle, without a break */
        struct run run[RUNS];
        struct run discard; /* what unit_map_take_idle() gave */
        uint32_t hand;
};

static struct model *model_new(void)
{
        struct model *m = calloc(1, sizeof(*m));

        ck_assert_ptr_nonnull(m);
        ck_assert_int_eq(unit_map_new(UNITS, &m->map), 0);
        return m;
}

static void model_free(struct model *m)
{
        unit_map_free(m->map);
        free(m);
}

static uint64_t end_of(uint32_t group)
{
        return group + 1 == GROUPS ? UNITS : (uint64_t)(group + 1) * UNIT_MAP_GROUP;
}

static bool is_whole(const struct model *m, uint32_t group)
{
        return !m->used[group] && !m->closed[group];
}

/* Whatever is not idle begins anew. */
static void forget(struct model *m)
{
        for (uint32_t group = 0; group < GROUPS; group++)
                if (!m->stale[group] || !is_whole(m, group))
                        m->looks[group] = 0;
}

static void mark(struct model *m, struct run run, bool taken)
{
        for (uint64_t unit = run.first; unit < run.first + run.units; unit++) {
                if (m->taken[unit] == taken)
                        ck_abort_msg("unit %llu is given or taken twice", (unsigned long long)unit);
                m->taken[unit] = taken;
                m->used[unit / UNIT_MAP_GROUP] += taken ? 1 : UINT32_MAX;
        }
}

static void alloc(struct model *m, struct run *run)
{
        run->units = unit_map_alloc(m->map, 1 + (uint32_t)unit_random(UNIT_MAP_RUN_MOST), &run->first);
        mark(m, *run, true);
        if (run->units)
                m->stale[run->first / UNIT_MAP_GROUP] = true;
        forget(m);
}

static void release(struct model *m, struct run *run)
{
        unit_map_release(m->map, run->first, run->units);
        mark(m, *run, false);
        run->units = 0;
        forget(m);
}

/* A granule that may be taken: all free, something stale in it, and that seen so before. */
static bool is_due(const struct model *m, uint32_t first, uint32_t stride)
{
        bool any = false;

        for (uint32_t group = first; group < first + stride && group < GROUPS; group++) {
                if (!is_whole(m, group) || (m->stale[group] && !m->looks[group]))
                        return false;
                any |= m->stale[group];
        }
        return any;
}

/* One look: what comes of it is right, and what comes before it in the round was not due. */
static void look(struct model *m, uint32_t stride, uint32_t most)
{
        uint32_t begin = m->hand, end;
        uint64_t first = UINT64_MAX;
        uint64_t units;

        if (m->discard.units)
                release(m, &m->discard);
        begin -= begin % stride;
        units = unit_map_take_idle(m->map, stride, most, &m->hand, &first);
        end = m->hand ? m->hand : GROUPS;
        if (units) {
                uint32_t group = (uint32_t)(first / UNIT_MAP_GROUP), beyond;

                m->discard = (struct run){ first, (uint32_t)units };
                ck_assert_uint_eq(first % ((uint64_t)stride * UNIT_MAP_GROUP), 0);
                for (beyond = group; beyond < GROUPS && (uint64_t)beyond * UNIT_MAP_GROUP < first + units;)
                        beyond++;
                ck_assert_uint_eq(first + units, end_of(beyond - 1));
                ck_assert_uint_le(beyond - group, most);
                for (uint32_t g = group; g < beyond; g += stride)
                        ck_assert(is_due(m, g, stride));
                end = group;
                for (uint32_t g = group; g < beyond; g++)
                        m->stale[g] = false;
                mark(m, m->discard, true);
                forget(m);
        }
        for (uint32_t g = begin; g < end; g += stride) {
                ck_assert(!is_due(m, g, stride));
                for (uint32_t i = g; i < g + stride && i < GROUPS; i++)
                        m->looks[i] += m->stale[i] && is_whole(m, i);
        }
}

static uint32_t count(const struct model *m)
{
        uint32_t n = 0;

        for (uint32_t group = 0; group < GROUPS; group++)
                n += m->stale[group];
        return n;
}

/* _i: stride */
START_TEST(test_random)
{
        struct model *m = model_new();
        unsigned found = 0;

        unit_random_start();
        for (unsigned i = 0; i < 30000; i++) {
                unsigned full = i / 500 % 2 ? 1 : 10; /* of 11: how often something is taken */
                struct run *run = &m->run[unit_random(RUNS)];
                uint32_t group = (uint32_t)unit_random(GROUPS);

                if (run->units && unit_random(11) >= full)
                        release(m, run);
                else if (!run->units && unit_random(11) < full)
                        alloc(m, run);
                if (unit_random(40) == 0) {
                        if (m->closed[group])
                                unit_map_open(m->map, group);
                        else
                                unit_map_close(m->map, group);
                        m->closed[group] = !m->closed[group];
                        forget(m);
                }
                if (unit_random(20) == 0)
                        look(m, (uint32_t)_i, (uint32_t)_i * (1 + (uint32_t)unit_random(4)));
                found += m->discard.units > 0;
                ck_assert_uint_eq(unit_map_stale(m->map), count(m));
        }
        ck_assert_uint_gt(found, 100);
        model_free(m);
}
END_TEST

/* A map that begins stale gives all of it, once, after a look at it. */
START_TEST(test_stale_all)
{
        struct model *m = model_new();
        uint32_t hand = 0;
        uint64_t first, all = 0, units;

        ck_assert_uint_eq(unit_map_take_idle(m->map, 1, 4, &hand, &first), 0);
        ck_assert_uint_eq(hand, 0);
        unit_map_stale_all(m->map);
        ck_assert_uint_eq(unit_map_stale(m->map), GROUPS);
        ck_assert_uint_eq(unit_map_take_idle(m->map, 1, 4, &hand, &first), 0);
        ck_assert_uint_eq(hand, 0);
        while ((units = unit_map_take_idle(m->map, 1, 4, &hand, &first))) {
                ck_assert_uint_eq(first, all);
                all += units;
        }
        ck_assert_uint_eq(all, UNITS);
        ck_assert_uint_eq(unit_map_stale(m->map), 0);
        ck_assert_uint_eq(unit_map_available(m->map), 0);
        ck_assert_uint_eq(unit_map_alloc(m->map, 1, &first), 0);
        unit_map_release(m->map, 0, UNITS);
        ck_assert_uint_eq(unit_map_available(m->map), UNITS);
        ck_assert_uint_eq(unit_map_take_idle(m->map, 1, 4, &hand, &first), 0);
        ck_assert_uint_eq(unit_map_take_idle(m->map, 1, 4, &hand, &first), 0);
        model_free(m);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("unit-map-idle");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_random, 1, 4);
        tcase_add_test(tc, test_stale_all);
        return unit_run("unit-map-idle", tc);
}
