/*
 * Cyclic paths of blocks, found in one pass over what was executed: the hot half of `glassbox trace top`.
 *
 * A stack holds the blocks that are not known to be part of a loop's finished round. A jump back to a block that is on the
 * stack ends a round: what lies from that block to the top is a cyclic path, is counted, and leaves the stack. The block itself
 * stays, marked: loops ran here. So a loop around it sees one marked block, however many rounds and paths the inner
 * loop had, and each instruction counts for one path, the innermost. (Tubella and Gonzalez keep such a stack of loops in
 * hardware, HPCA 1998; Ball and Larus, MICRO 1996, number paths between back edges.)
 *
 * Paths are told apart by a hash of their blocks, modulo 2^64, which is kept for the whole stack:
 *     hash of s1 s2 .. sn = s1 * B^(n-1) + s2 * B^(n-2) + .. + sn
 *
 * No allocation in here, and nothing is written beyond what the caller gave, whatever the input.
 */
#ifndef GB_CYCLES_H
#define GB_CYCLES_H

#include <stdint.h>

#include "codec.h"

enum {
    GB_DEPTH = 4096,         /* blocks of the stack; what lies deeper is forgotten, and a path is no longer */
    GB_PATH_SLOTS = 1 << 15, /* of the table of paths, which stops at three quarters */
    GB_BACK_NONE = 0xffff,   /* the block does not jump */
    GB_BACK_ANY = 0xfffe,    /* it may repeat itself */
};

#define GB_LOOPED 0x80000000u /* in a path's symbol: loops that begin at this block ran before it */

typedef struct {
    uint64_t word;  /* random, the same for the same block */
    uint32_t place; /* rank by address, the same order in all frames */
    uint32_t last;  /* index in the stack + 1; 0: not in it */
    uint16_t back;  /* low 12 bits of where its last instruction jumps to, or GB_BACK_ */
    uint16_t low;   /* low 12 bits of its address */
    uint32_t pad;
} gb_cycle_block;

/* A block of the stack and what was so before it. */
typedef struct {
    uint64_t hash, own, began; /* instructions that are in no path; instructions */
    uint32_t symbol, last;
} gb_cycle_entry;

typedef struct {
    uint64_t key, rounds, own, total; /* instructions that are in no inner path; all */
    uint32_t root, first, length;     /* its symbols; a length of 0 is a free slot */
    uint32_t pad;
} gb_cycle_path;

typedef struct {
    gb_cycle_block *blocks; /* `limit`, by number */
    gb_cycle_entry *stack;  /* GB_DEPTH, used round and round */
    uint64_t *powers;       /* GB_DEPTH + 1 */
    gb_cycle_path *paths;   /* GB_PATH_SLOTS */
    uint32_t *symbols;      /* `symbol_capacity`: block numbers, with GB_LOOPED */
    uint64_t limit, symbol_capacity, symbol_count, path_count;
    uint64_t hash, own, now;
    uint64_t top, base; /* of the stack: entries base to top - 1 are there */
    uint64_t previous;  /* block, or ~0 */
} gb_cycles;

/* Begin with an empty stack and no path: for a new dictionary, whose `last` are 0. */
GB_API int64_t gb_cycles_begin(gb_cycles *state);

/* The next block does not follow from the last: forget the stack, keep the paths. */
GB_API int64_t gb_cycles_break(gb_cycles *state);

/* Forget the paths, keep the stack. */
GB_API int64_t gb_cycles_clear(gb_cycles *state);

/* Continue with `count` blocks, in which `begun` instructions began each, under page-table root number `root`. Returns
 * how many were taken: fewer if the tables are full. */
GB_API int64_t gb_cycles_find(gb_cycles *state, const uint32_t *numbers, const uint16_t *begun, uint64_t count,
                              uint32_t root);

/* Write the symbols of `count` paths, given by slot, one after another to `out`, each from the least of its rotations by
 * place on, with ids for numbers; `names` gets a hash of these, `rings` the highest ring of a block. Returns how many symbols
 * there are. */
GB_API int64_t gb_cycles_name(const gb_cycles *state, const uint32_t *slots, uint64_t count, const uint32_t *ids,
                              const uint8_t *ring, uint32_t *out, uint64_t capacity, uint64_t *names, uint8_t *rings);

/* Add up executions of `count` blocks and the instructions that began in them, by number below `limit`. */
GB_API int64_t gb_count_blocks(const uint32_t *numbers, const uint16_t *begun, uint64_t count, uint64_t limit,
                               uint64_t *executions, uint64_t *instructions);

#endif
