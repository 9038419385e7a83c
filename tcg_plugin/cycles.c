/* See cycles.h. */
#include "cycles.h"

#include <stdbool.h>
#include <string.h>

static const uint64_t BASE = 0x9e3779b97f4a7c15, LOOPED = 0xd1342543de82ef95;

_Static_assert(sizeof(gb_cycle_block) == 24 && sizeof(gb_cycle_entry) == 32 && sizeof(gb_cycle_path) == 48,
               "qemu_bridge/trace/cycles.py has these as NumPy types");

static gb_cycle_entry *entry_at(const gb_cycles *state, uint64_t index)
{
    return state->stack + index % GB_DEPTH;
}

int64_t gb_cycles_begin(gb_cycles *state)
{
    state->powers[0] = 1;
    for (unsigned i = 0; i < GB_DEPTH; i++) {
        state->powers[i + 1] = state->powers[i] * BASE;
    }
    state->hash = state->own = state->now = state->top = 0;
    gb_cycles_break(state);
    return gb_cycles_clear(state);
}

int64_t gb_cycles_break(gb_cycles *state)
{
    state->base = state->top;
    state->previous = UINT64_MAX;
    return 0;
}

int64_t gb_cycles_clear(gb_cycles *state)
{
    memset(state->paths, 0, GB_PATH_SLOTS * sizeof *state->paths);
    state->symbol_count = state->path_count = 0;
    return 0;
}

/* --- paths ------------------------------------------------------------------------------------------------------ */

/* The slot of a path, or a free one for it. */
static gb_cycle_path *slot_of(const gb_cycles *state, uint64_t key, uint32_t root)
{
    uint64_t slot = (key ^ root * LOOPED) * BASE >> 49;
    _Static_assert(GB_PATH_SLOTS == 1 << (64 - 49), "the upper bits choose a slot");
    for (;; slot = (slot + 1) % GB_PATH_SLOTS) {
        gb_cycle_path *path = state->paths + slot;
        if (!path->length || (path->key == key && path->root == root)) {
            return path;
        }
    }
}

static void begin_path(gb_cycles *state, gb_cycle_path *path, uint64_t key, uint32_t root, uint64_t first)
{
    uint64_t length = state->top - first;
    uint32_t *symbols = state->symbols + state->symbol_count;
    *path = (gb_cycle_path){.key = key, .root = root, .first = (uint32_t)state->symbol_count, .length = (uint32_t)length};
    for (uint64_t i = 0; i < length; i++) {
        symbols[i] = entry_at(state, first + i)->symbol;
    }
    /* Whether loops ran before its head is no part of the path. */
    symbols[0] &= ~GB_LOOPED;
    state->symbol_count += length;
    state->path_count++;
}

/* Count what lies from index `head` on as a round, and take it from the stack. */
static void end_round(gb_cycles *state, uint64_t head, uint32_t root)
{
    gb_cycle_entry *entry = entry_at(state, head);
    uint64_t length = state->top - head;
    uint64_t key = state->hash - entry->hash * state->powers[length];
    if (entry->symbol & GB_LOOPED) {
        key -= LOOPED * state->powers[length - 1];
    }
    gb_cycle_path *path = slot_of(state, key, root);
    if (!path->length) {
        begin_path(state, path, key, root, head);
    }
    path->rounds++;
    path->own += state->own - entry->own;
    path->total += state->now - entry->began;
    while (state->top > head) {
        entry = entry_at(state, --state->top);
        state->blocks[entry->symbol & ~GB_LOOPED].last = entry->last;
    }
    state->hash = entry->hash;
    state->own = entry->own;
}

/* Whether control came to `block` by the jump that ends `before`, to a place not behind it. */
static bool is_back(const gb_cycle_block *before, const gb_cycle_block *block)
{
    return block->place <= before->place && (before->back == block->low || before->back == GB_BACK_ANY);
}

static void push(gb_cycles *state, gb_cycle_block *block, uint32_t number, unsigned begun, bool looped)
{
    *entry_at(state, state->top) = (gb_cycle_entry){
        .hash = state->hash,
        .own = state->own,
        .began = state->now,
        .symbol = looped ? number | GB_LOOPED : number,
        .last = block->last,
    };
    block->last = (uint32_t)++state->top;
    state->base = state->top - state->base > GB_DEPTH ? state->top - GB_DEPTH : state->base;
    state->hash = state->hash * BASE + block->word + (looped ? LOOPED : 0);
    state->own += begun;
    state->now += begun;
}

/* Index in the stack of the latest `block`, or ~0. What fell off its end, or was forgotten, may still be named. */
static uint64_t find(const gb_cycles *state, const gb_cycle_block *block, uint32_t number)
{
    uint64_t index = (uint64_t)block->last - 1;
    if (block->last && index >= state->base && index < state->top &&
        (entry_at(state, index)->symbol & ~GB_LOOPED) == number) {
        return index;
    }
    return UINT64_MAX;
}

int64_t gb_cycles_find(gb_cycles *shared, const uint32_t *numbers, const uint16_t *begun, uint64_t count, uint32_t root)
{
    /* A copy, so that what is hot of it lives in registers. */
    gb_cycles state = *shared;
    uint64_t i = 0;
    if (state.top + count >= UINT32_MAX) {
        return GB_ERROR_RANGE;
    }
    for (; i < count; i++) {
        uint32_t number = numbers[i];
        bool looped = false;
        if (number >= state.limit) {
            return GB_ERROR_RANGE;
        }
        gb_cycle_block *block = state.blocks + number;
        if (state.previous < state.limit && is_back(state.blocks + state.previous, block)) {
            uint64_t head = find(&state, block, number);
            if (head != UINT64_MAX) {
                if (state.path_count >= GB_PATH_SLOTS / 4 * 3 || state.symbol_capacity - state.symbol_count < GB_DEPTH) {
                    break;
                }
                end_round(&state, head, root);
                looped = true;
            }
        }
        push(&state, block, number, begun[i], looped);
        state.previous = number;
    }
    *shared = state;
    return (int64_t)i;
}

/* --- names ------------------------------------------------------------------------------------------------------ */

/* Blocks are ordered by address, so that a path begins where its code does, if it can. */
static uint64_t rank(const gb_cycles *state, uint32_t symbol)
{
    return (uint64_t)state->blocks[symbol & ~GB_LOOPED].place << 1 | symbol >> 31;
}

/* Where the lexicographically least rotation begins, in linear time: the two-pointer form of Booth (1980). */
static uint32_t least_rotation(const gb_cycles *state, const uint32_t *symbols, uint32_t count)
{
    uint32_t left = 0, right = 1, same = 0;
    while (left < count && right < count && same < count) {
        uint64_t one = rank(state, symbols[(left + same) % count]);
        uint64_t other = rank(state, symbols[(right + same) % count]);
        if (one == other) {
            same++;
            continue;
        }
        if (one > other) {
            left += same + 1;
        } else {
            right += same + 1;
        }
        right += left == right;
        same = 0;
    }
    return left < right ? left : right;
}

int64_t gb_cycles_name(const gb_cycles *state, const uint32_t *slots, uint64_t count, const uint32_t *ids,
                       const uint8_t *ring, uint32_t *out, uint64_t capacity, uint64_t *names, uint8_t *rings)
{
    uint64_t done = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (slots[i] >= GB_PATH_SLOTS || state->paths[slots[i]].length > capacity - done) {
            return GB_ERROR_CAPACITY;
        }
        const gb_cycle_path *path = state->paths + slots[i];
        const uint32_t *symbols = state->symbols + path->first;
        uint32_t turn = least_rotation(state, symbols, path->length);
        uint64_t name = path->length;
        rings[i] = 0;
        for (uint32_t j = 0; j < path->length; j++) {
            uint32_t symbol = symbols[(j + turn) % path->length], number = symbol & ~GB_LOOPED;
            out[done] = ids[number] | (symbol & GB_LOOPED);
            name = (name ^ out[done++]) * BASE;
            name ^= name >> 29;
            rings[i] = ring[number] > rings[i] ? ring[number] : rings[i];
        }
        names[i] = name;
    }
    return (int64_t)done;
}

int64_t gb_count_blocks(const uint32_t *numbers, const uint16_t *begun, uint64_t count, uint64_t limit,
                        uint64_t *executions, uint64_t *instructions)
{
    for (uint64_t i = 0; i < count; i++) {
        if (numbers[i] >= limit) {
            return GB_ERROR_RANGE;
        }
        executions[numbers[i]]++;
        instructions[numbers[i]] += begun[i];
    }
    return 0;
}
