/* See caches.h. */
#include "caches.h"

#include <stdbool.h>

#include "records.h"

enum { SPACE_SHIFT = 44 };

_Static_assert(sizeof(gb_cache_counts) == 96 && sizeof(gb_cache_row) == 224 && sizeof(gb_caches) == 120,
               "qemu_bridge/trace/analysis/caches.py has these as NumPy types");

/* --- caches ----------------------------------------------------------------------------------------------------- */

/* Make `line` the newest of its set; whether it was there. */
static inline bool touch(const gb_cache *cache, uint64_t line)
{
    uint64_t *set = cache->lines + (line & (cache->sets - 1)) * cache->ways;
    uint64_t newest = set[0];
    if (newest == line) {
        return true;
    }
    set[0] = line;
    for (uint64_t way = 1; way < cache->ways; way++) {
        uint64_t older = set[way];
        set[way] = newest;
        if (older == line) {
            return true;
        }
        newest = older;
    }
    return false;
}

static bool touch_all(const gb_cache *cache, uint64_t first, uint64_t more)
{
    bool hit = true;
    for (uint64_t i = 0; i <= more; i++) {
        hit &= touch(cache, first + i);
    }
    return hit;
}

/* How many levels miss. */
static inline unsigned refer(gb_caches *caches, unsigned kind, uint64_t space, uint64_t address, uint64_t size)
{
    uint64_t within = address & ((UINT64_C(1) << caches->line_bits) - 1);
    uint64_t more = size ? (within + size - 1) >> caches->line_bits : 0;
    /* An address in the upper half is the kernel's, in every space the same. */
    uint64_t line = address >> caches->line_bits;
    if (!(address >> 63)) {
        line ^= space << SPACE_SHIFT;
    }
    const gb_cache *first = caches->levels;
    if (kind == GB_FETCH) {
        if (!more && line == caches->fetched) {
            return 0;
        }
        caches->fetched = line + more;
        first = &caches->instructions;
    }
    if (touch_all(first, line, more)) {
        return 0;
    }
    unsigned depth = 1;
    while (depth < caches->level_count && !touch_all(caches->levels + depth, line, more)) {
        depth++;
    }
    return depth;
}

static inline void tally_misses(gb_cache_counts *counts, unsigned kind, unsigned depth)
{
    for (unsigned level = 0; level < depth; level++) {
        counts->misses[level][kind]++;
    }
}

static inline void tally(gb_cache_counts *counts, unsigned kind, unsigned depth)
{
    counts->references[kind]++;
    tally_misses(counts, kind, depth);
}

/* --- strides ---------------------------------------------------------------------------------------------------- */

static unsigned distance_of(uint64_t stride, uint64_t line_bytes)
{
    bool is_down = stride >> 63;
    uint64_t size = is_down ? 0 - stride : stride;
    if (!size) {
        return 0;
    }
    if (size < line_bytes) {
        return 1 + is_down;
    }
    return size < GB_PAGE_BYTES ? 3 + is_down : 5;
}

/* Predict with the stride between the last two, as a table of strides with a row for each instruction does. */
static void step(gb_cache_row *row, unsigned kind, uint64_t address, uint64_t line_bits)
{
    gb_stride *last = row->last + kind;
    uint64_t stride = address - last->address;
    if (last->count) {
        uint64_t lines = (address >> line_bits) - (last->address >> line_bits);
        row->moves += lines != 0;
        row->next_line += lines == 1;
        row->distances[distance_of(stride, UINT64_C(1) << line_bits)]++;
        if (last->count > 1 && stride == last->stride) {
            row->foreseen++;
            row->stride = stride;
        }
        last->stride = stride;
    }
    last->address = address;
    last->count++;
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

int64_t gb_cache_stream(gb_caches *caches, const uint64_t *address, const uint32_t *size, const uint8_t *kind,
                        uint64_t count, uint8_t *depths, gb_cache_row *rows, const uint32_t *row, uint64_t row_count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (kind[i] >= GB_KINDS || (rows && row[i] >= row_count)) {
            return GB_ERROR_RANGE;
        }
        unsigned depth = refer(caches, kind[i], 0, address[i], size[i]);
        if (depths) {
            depths[i] = (uint8_t)depth;
        }
        if (rows) {
            tally(&rows[row[i]].counts, kind[i], depth);
            if (kind[i] != GB_FETCH) {
                step(rows + row[i], kind[i], address[i], caches->line_bits);
            }
        }
    }
    return 0;
}

int64_t gb_cache_blocks(gb_caches *shared, const gb_records *records, const gb_block_list *blocks,
                        const gb_access_list *accesses, gb_cache_row *rows, uint64_t row_count,
                        const uint32_t *first_row, gb_cache_counts *spaces, uint64_t space_count)
{
    /* A copy, so that what is hot of it lives in registers. */
    gb_caches caches = *shared;
    uint64_t next = 0;
    for (uint64_t i = 0; i < blocks->count; i++) {
        const gb_block *record = record_of(records, blocks->number[i]);
        if (!record || blocks->begun[i] > record->instructions || blocks->space[i] >= space_count ||
            first_row[blocks->number[i]] > row_count ||
            record->instructions > row_count - first_row[blocks->number[i]]) {
            return GB_ERROR_RANGE;
        }
        const uint8_t *lengths = (const uint8_t *)(record + 1);
        gb_cache_row *mine = rows + first_row[blocks->number[i]];
        uint64_t space = blocks->space[i], address = blocks->address[i];
        gb_cache_counts *here = spaces + space;
        here->references[GB_FETCH] += blocks->begun[i];
        for (unsigned j = 0; j < blocks->begun[i]; j++) {
            unsigned depth = refer(&caches, GB_FETCH, space, address, lengths[j]);
            tally(&mine[j].counts, GB_FETCH, depth);
            tally_misses(here, GB_FETCH, depth);
            address += lengths[j];
            for (; next < accesses->count && accesses->block[next] == i && accesses->instruction[next] <= j; next++) {
                unsigned kind = accesses->is_store[next] ? GB_STORE : GB_LOAD;
                depth = refer(&caches, kind, space, accesses->address[next], accesses->size[next]);
                tally(&mine[j].counts, kind, depth);
                tally(here, kind, depth);
                step(mine + j, kind, accesses->address[next], caches.line_bits);
            }
        }
        /* What belongs to no instruction that began belongs to nobody. */
        while (next < accesses->count && accesses->block[next] <= i) {
            next++;
        }
    }
    *shared = caches;
    return 0;
}
