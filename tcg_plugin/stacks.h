/*
 * Call stacks from calls and returns: the hot half of `glassbox trace functions` and `trace export --format folded`, whose text
 * (qemu_bridge/trace/analysis/call_trees.py) says what counts as a call.
 *
 * Functions are known by keys: a name's number with GB_NAMED, or an address. A tree of keys has the instructions of each stack.
 *
 * Each page-table root has a stack of its own, unless the function is known that switches threads: then each thread has one,
 * which moves to the process whose root is loaded. At a switch the stack is put aside and another one begins, without callers;
 * the returns that it cannot account for find the thread whose stack they fit, the latest first.
 *
 * No allocation in here, and nothing is written beyond what the caller gave, whatever the input.
 */
#ifndef GB_STACKS_H
#define GB_STACKS_H

#include <stdint.h>

#include "codec.h"

enum {
    GB_DEEPEST = 200,      /* functions of a stack in the tree; what is called deeper counts for the last one */
    GB_STACK_CAPACITY = 1024,  /* entries of a stack, so that returns from deeper calls are known */
    GB_THREADS = 256,      /* stacks put aside */
    GB_TRAIL = 8,
    GB_NEAR = 16,          /* bytes behind a call that are no function of their own; an iret to there only flushes the pipeline */
};

#define GB_NAMED (1ull << 62) /* no address: bits 63 to 47 of these are the same */

enum { GB_STEP_NONE, GB_STEP_CALL, GB_STEP_RETURN, GB_STEP_IRET }; /* how a block ends */
enum { GB_AT_SWITCH, GB_AT_EXCEPTION };              /* what may come before a block */

typedef struct {
    uint64_t key, instructions;
    uint64_t calls; /* and entries by exceptions; those of a function that ran already when its stack began are not known */
    uint32_t parent, pad;
} gb_stack_node;

typedef struct {
    uint64_t behind; /* where a return goes; ~0: nowhere */
    uint32_t node, kind;
} gb_stack_entry;

/* Before block `at`: the root of stack `stack` is loaded; or an exception at `from`, which is in the function `key`. */
typedef struct {
    uint64_t at, from, key;
    uint32_t kind, stack;
} gb_stack_event;

typedef struct {
    gb_stack_node *nodes; /* `node_capacity`; 0 is the root of the tree */
    uint32_t *table;      /* `table_mask` + 1, a power of two larger than node_capacity; nodes by parent and key, 0: free */
    uint64_t node_count, node_capacity, table_mask;
} gb_stack_tree;

/* Of one vCPU; begins with zeros. */
typedef struct {
    gb_stack_entry *stacks; /* GB_STACK_CAPACITY for each of `stack_count` */
    uint32_t *lengths;      /* of each; 0: not begun */
    gb_stack_entry *aside;  /* GB_STACK_CAPACITY for each of GB_THREADS */
    uint32_t *aside_lengths;
    uint64_t *aside_ages;
    uint64_t stack_count, age;
    uint64_t switch_key; /* of the function that returns as another thread; 0 if it is not known */
    uint64_t start, behind; /* of the block before */
    uint64_t trail[GB_TRAIL]; /* where returns went since threads were switched, out of what ran since */
    uint32_t trail_count, floor; /* entries of the stack that the next of these ends; 0: it is known whose stack this is */
    uint32_t taken;      /* 1 + the place of the stack that was taken up */
    uint32_t current, step, is_thunk;
    uint32_t base, pad; /* node of the process */
} gb_stacks;

/* Node of what `key` is called from `parent`; `parent` itself when the tree is full. */
GB_API int64_t gb_stacks_child(gb_stack_tree *tree, uint32_t parent, uint64_t key);

/* Continue with `count` blocks: their numbers (below `limit`), addresses and instructions begun; by number, how a block ends,
 * its bytes and its function's key, 0 if that is its address; and events, ascending. `bases` has the node of each
 * stack's process. */
GB_API int64_t gb_stacks_walk(gb_stacks *state, gb_stack_tree *tree, const uint32_t *numbers, const uint64_t *address,
                              const uint16_t *begun, uint64_t count, const uint8_t *steps, const uint16_t *bytes,
                              const uint64_t *keys, uint64_t limit, const gb_stack_event *events, uint64_t event_count,
                              const uint32_t *bases);

#endif
