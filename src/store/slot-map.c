// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reference counts over a unit map (unit-map.c), which says what is free: a slot is free when its last reference is
 * gone. Two bytes a slot, and an eighth of one for the map.
 *
 * No locks, no system calls: the caller serialises.
 */
#include "store/slot-map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/unit-map.h"

struct slot_map {
        uint64_t slots;
        struct unit_map *units;
        uint16_t *refs; /* 0: free */
};

uint32_t slot_map_alloc(struct slot_map *map, uint32_t want, uint64_t *first)
{
        uint32_t got = unit_map_alloc(map->units, want, first);

        for (uint32_t i = 0; i < got; i++) {
                assert(!map->refs[*first + i]);
                map->refs[*first + i] = 1;
        }
        return got;
}

int slot_map_ref(struct slot_map *map, uint64_t slot)
{
        assert(slot < map->slots && map->refs[slot]);
        if (map->refs[slot] == SLOT_MAP_REFS_MOST)
                return -EOVERFLOW;
        map->refs[slot]++;
        return 0;
}

uint32_t slot_map_unref(struct slot_map *map, uint64_t first, uint32_t count)
{
        uint64_t freed = first; /* from here to `slot` all became free, and are not yet released */
        uint32_t total = 0;

        assert(first <= map->slots && count <= map->slots - first);
        for (uint64_t slot = first; slot < first + count; slot++) {
                assert(map->refs[slot]);
                if (--map->refs[slot] == 0) {
                        total++;
                        continue;
                }
                unit_map_release(map->units, freed, slot - freed);
                freed = slot + 1;
        }
        unit_map_release(map->units, freed, first + count - freed);
        return total;
}

uint64_t slot_map_slots(const struct slot_map *map)
{
        return map->slots;
}

uint64_t slot_map_available(const struct slot_map *map)
{
        return unit_map_available(map->units);
}

unsigned slot_map_refs(const struct slot_map *map, uint64_t slot)
{
        assert(slot < map->slots);
        return map->refs[slot];
}

size_t slot_map_bytes(const struct slot_map *map)
{
        return sizeof(*map) + map->slots * sizeof(*map->refs) + unit_map_bytes(map->units);
}

int slot_map_new(uint64_t slots, struct slot_map **out)
{
        struct slot_map *map;
        int r;

        if (!slots)
                return -EINVAL;
        if (slots > SLOT_MAP_MOST)
                return -EFBIG;
        map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;
        map->slots = slots;
        map->refs = calloc(slots, sizeof(*map->refs));
        r = map->refs ? unit_map_new(slots, &map->units) : -ENOMEM;
        if (r < 0) {
                slot_map_free(map);
                return r;
        }
        *out = map;
        return 0;
}

void slot_map_free(struct slot_map *map)
{
        if (!map)
                return;
        unit_map_free(map->units);
        free(map->refs);
        free(map);
}
