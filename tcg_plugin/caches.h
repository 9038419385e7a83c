/*
 * Caches with LRU replacement, and how well a stride predictor foresees addresses: `glassbox trace cache`, and streams of
 * any other origin.
 *
 * A reference touches every line that it overlaps. It misses a level if one of its lines is not there, and then the whole
 * reference goes on to the level below (so counts cachegrind: Nethercote, 2004). A miss brings the line into the level,
 * for a store as for a load; no level knows what the others hold, and nothing is written back.
 *
 * No allocation in here, and nothing is written beyond what the caller gave, whatever the input.
 */
#ifndef GB_CACHES_H
#define GB_CACHES_H

#include "codec.h"

enum { GB_LOAD, GB_STORE, GB_FETCH, GB_KINDS };

enum {
    GB_CACHE_LEVELS = 3, /* at most */
    GB_DISTANCES = 6,    /* classes of strides: 0; up and down by less than a line, by less than a page; farther */
};

#define GB_NO_LINE UINT64_MAX /* what the caches are filled with when they are empty */

typedef struct {
    uint64_t *lines; /* `ways` for each of `sets`, the one used last first */
    uint64_t sets, ways; /* `sets` is a power of two */
} gb_cache;

/* The caches of one processor: a first level of instructions and one of data, the second of which is levels[0]. */
typedef struct {
    gb_cache instructions, levels[GB_CACHE_LEVELS];
    uint64_t level_count, line_bits;
    uint64_t fetched; /* line of the last fetch, which is still the newest of its set; begins as GB_NO_LINE */
} gb_caches;

typedef struct {
    uint64_t references[GB_KINDS];
    uint64_t misses[GB_CACHE_LEVELS][GB_KINDS];
} gb_cache_counts;

/* What the predictor has seen of the loads of an instruction, or of its stores. */
typedef struct {
    uint64_t address, stride, count;
} gb_stride;

/* Of one instruction; begins with zeros. */
typedef struct {
    gb_cache_counts counts;
    uint64_t foreseen;  /* loads and stores at the address of the one before plus the stride before */
    uint64_t moves;     /* to another line than the one before */
    uint64_t next_line; /* to the line behind it */
    uint64_t distances[GB_DISTANCES];
    uint64_t stride; /* foreseen last */
    gb_stride last[2];
} gb_cache_row;

/*
 * Put `count` references of `kinds` to `size` bytes from `address` on through the caches; `depths`, if it is not NULL, gets
 * how many levels missed. If `rows` is not NULL, each counts for row `row[i]` of `row_count`.
 */
GB_API int64_t gb_cache_stream(gb_caches *caches, const uint64_t *address, const uint32_t *size, const uint8_t *kind,
                               uint64_t count, uint8_t *depths, gb_cache_row *rows, const uint32_t *row,
                               uint64_t row_count);

/* Loads and stores of a frame, ascending by `block`, an index among the blocks. */
typedef struct {
    const uint32_t *block;
    const uint16_t *instruction;
    const uint64_t *address;
    const uint8_t *size, *is_store;
    uint64_t count;
} gb_access_list;

/* Executed blocks of a frame. */
typedef struct {
    const uint32_t *number;
    const uint16_t *begun;
    const uint64_t *address;
    const uint32_t *space; /* index of the address space, below 2^19: user addresses differ by it */
    uint64_t count;
} gb_block_list;

/*
 * Put `count` blocks through the caches: each instruction's fetch, then its loads and stores. Instruction i of the
 * block with number n counts for row `first_row[n]` + i of `row_count`, and for its address space.
 */
GB_API int64_t gb_cache_blocks(gb_caches *caches, const gb_records *records, const gb_block_list *blocks,
                               const gb_access_list *accesses, gb_cache_row *rows, uint64_t row_count,
                               const uint32_t *first_row, gb_cache_counts *spaces, uint64_t space_count);

#endif
