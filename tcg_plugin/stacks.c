/* See stacks.h. */
#include "stacks.h"

#include <stdbool.h>
#include <string.h>

#define NOWHERE UINT64_MAX

enum { CALL, EXCEPTION, SWITCH }; /* kinds of entries */

_Static_assert(sizeof(gb_stack_node) == 32 && sizeof(gb_stack_entry) == 16 && sizeof(gb_stack_event) == 32,
               "qemu_bridge/trace/stacks.py has these as NumPy types");

int64_t gb_stacks_child(gb_stack_tree *tree, uint32_t parent, uint64_t key)
{
    uint64_t slot = (key + parent * 0xd1342543de82ef95ull) * 0x9e3779b97f4a7c15ull >> 32;
    for (;; slot++) {
        uint32_t *found = tree->table + (slot & tree->table_mask);
        if (!*found) {
            if (tree->node_count >= tree->node_capacity) {
                return parent;
            }
            *found = (uint32_t)tree->node_count++;
            tree->nodes[*found] = (gb_stack_node){.key = key, .parent = parent};
            return *found;
        }
        if (tree->nodes[*found].parent == parent && tree->nodes[*found].key == key) {
            return *found;
        }
    }
}

static gb_stack_entry *stack_of(const gb_stacks *state)
{
    return state->stacks + (uint64_t)state->current * GB_STACK_CAPACITY;
}

static uint32_t top_node(const gb_stacks *state)
{
    return stack_of(state)[state->lengths[state->current] - 1].node;
}

static void push(gb_stacks *state, gb_stack_tree *tree, uint64_t behind, uint64_t key)
{
    gb_stack_entry *stack = stack_of(state);
    uint32_t *length = state->lengths + state->current, node = top_node(state);
    if (*length == GB_STACK_CAPACITY) {
        /* The process and the outermost function stay; of what is between, the older half goes. */
        memmove(stack + 2, stack + GB_STACK_CAPACITY / 2, GB_STACK_CAPACITY / 2 * sizeof *stack);
        *length = GB_STACK_CAPACITY / 2 + 2;
    }
    node = *length >= GB_DEEPEST ? node : (uint32_t)gb_stacks_child(tree, node, key);
    stack[(*length)++] = (gb_stack_entry){.behind = behind, .node = node};
}

/* A call. Too deep, or where the tree is full, it counts for its caller. */
static void enter(gb_stacks *state, gb_stack_tree *tree, uint64_t behind, uint64_t key)
{
    uint32_t caller = top_node(state);
    push(state, tree, behind, key);
    tree->nodes[top_node(state)].calls += top_node(state) != caller;
}

/* Restart the current stack, in a function of the process. */
static void begin(gb_stacks *state, gb_stack_tree *tree, uint64_t key)
{
    stack_of(state)[0] = (gb_stack_entry){.behind = NOWHERE, .node = state->base};
    state->lengths[state->current] = 1;
    push(state, tree, NOWHERE, key);
}

/* Make `length` entries the current stack, under the process. */
static void take_over(gb_stacks *state, gb_stack_tree *tree, const gb_stack_entry *from, uint32_t length)
{
    gb_stack_entry *to = stack_of(state);
    to[0] = (gb_stack_entry){.behind = NOWHERE, .node = state->base};
    for (uint32_t at = 1; at < length; at++) {
        uint32_t node = to[at - 1].node;
        uint64_t key = tree->nodes[from[at].node].key;
        to[at].behind = from[at].behind;
        to[at].kind = from[at].kind;
        to[at].node = at >= GB_DEEPEST ? node : (uint32_t)gb_stacks_child(tree, node, key);
    }
    state->lengths[state->current] = length;
}

static void load_root(gb_stacks *state, gb_stack_tree *tree, uint32_t stack, uint32_t base, uint64_t key)
{
    bool moves = state->switch_key && state->base != base;
    state->base = base;
    state->current = state->switch_key ? state->current : stack;
    if (!state->lengths[state->current]) {
        begin(state, tree, key);
    } else if (moves) {
        take_over(state, tree, stack_of(state), state->lengths[state->current]);
    }
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

/* Keep `length` entries of the current stack, in place of the one that was put aside first. */
static void put_aside(gb_stacks *state, uint32_t length)
{
    unsigned oldest = 0;
    if (state->taken) {
        state->aside_lengths[state->taken - 1] = 0;
        state->aside_ages[state->taken - 1] = 0;
    }
    state->taken = state->trail_count = 0;
    for (unsigned i = 1; i < GB_THREADS; i++) {
        oldest = state->aside_ages[i] < state->aside_ages[oldest] ? i : oldest;
    }
    memcpy(state->aside + (uint64_t)oldest * GB_STACK_CAPACITY, stack_of(state), length * sizeof(gb_stack_entry));
    state->aside_lengths[oldest] = length;
    state->aside_ages[oldest] = ++state->age;
}

/* Index of the entry of `stack` that the trail's last return ended, if its returns ended consecutive entries; or 0. */
static uint32_t follow(const gb_stacks *state, const gb_stack_entry *stack, uint32_t length)
{
    for (uint32_t at = length; at-- > 2 + state->trail_count - 1;) {
        uint32_t same = 0;
        while (same < state->trail_count && stack[at - same].behind == state->trail[same]) {
            same++;
        }
        if (same == state->trail_count) {
            return at - same + 1;
        }
    }
    return 0;
}

/* Take the stack that was put aside last of those that the trail fits; whether there is one. It stays aside until another
 * is put there: the next return may show that it was the wrong one. */
static bool take_up(gb_stacks *state, gb_stack_tree *tree)
{
    uint32_t best = GB_THREADS, length = 0;
    for (uint32_t i = 0; i < GB_THREADS; i++) {
        if (best == GB_THREADS || state->aside_ages[i] > state->aside_ages[best]) {
            uint32_t found = follow(state, state->aside + (uint64_t)i * GB_STACK_CAPACITY, state->aside_lengths[i]);
            best = found ? i : best;
            length = found ? found : length;
        }
    }
    if (best == GB_THREADS) {
        return false;
    }
    take_over(state, tree, state->aside + (uint64_t)best * GB_STACK_CAPACITY, length);
    state->taken = best + 1;
    return true;
}

/* --- steps ------------------------------------------------------------------------------------------------------ */

static void call(gb_stacks *state, gb_stack_tree *tree, uint64_t behind, uint64_t key, bool is_exception)
{
    state->is_thunk = 0;
    bool is_switch = state->switch_key && key == state->switch_key;
    enter(state, tree, behind, key);
    stack_of(state)[state->lengths[state->current] - 1].kind = is_switch ? SWITCH : is_exception ? EXCEPTION : CALL;
}

/* Entry that a return to `address` ends, or 0. An iret may go elsewhere: the handler mended the fault. */
static uint32_t find_entry(const gb_stacks *state, uint64_t address)
{
    const gb_stack_entry *stack = stack_of(state);
    uint32_t exception = 0;
    for (uint32_t at = state->lengths[state->current] - 1; at > 1; at--) {
        if (stack[at].behind == address || stack[at].kind == SWITCH) {
            return at;
        }
        exception = exception || stack[at].kind != EXCEPTION ? exception : at;
    }
    return state->step == GB_STEP_IRET ? exception : 0;
}

static void go_back(gb_stacks *state, gb_stack_tree *tree, uint64_t address, uint64_t key)
{
    gb_stack_entry *stack = stack_of(state);
    uint32_t *length = state->lengths + state->current, entry = find_entry(state, address);
    bool is_thunk = state->is_thunk;
    state->is_thunk = 0;
    if (entry && stack[entry].kind == SWITCH) {
        put_aside(state, entry);
        begin(state, tree, key);
        state->floor = *length;
        return;
    }
    if (!entry && is_thunk && stack[*length - 1].behind != NOWHERE) {
        /* A return that was made into a jump leaves for another function. */
        uint64_t behind = stack[*length - 1].behind;
        (*length)--;
        enter(state, tree, behind, key);
        return;
    }
    if (state->floor && (!entry || entry < state->floor)) {
        /* Out of what ran since the switch: one more sign of whose stack this is. */
        state->trail[state->trail_count++] = address;
        if (!entry && take_up(state, tree)) {
            entry = *length;
        }
        state->floor = entry && state->trail_count < GB_TRAIL ? entry : 0;
    }
    if (entry) {
        *length = entry;
    } else {
        /* Any other is the end of what was known. */
        begin(state, tree, key);
    }
}

/* Whether `address` lies in the block before, which may call its own beginning. */
static bool is_inside(const gb_stacks *state, uint64_t address, bool by_exception)
{
    return address - state->start < state->behind - state->start &&
           (by_exception || address != state->start || state->step != GB_STEP_CALL);
}

int64_t gb_stacks_walk(gb_stacks *state, gb_stack_tree *tree, const uint32_t *numbers, const uint64_t *address,
                       const uint16_t *begun, uint64_t count, const uint8_t *steps, const uint16_t *bytes,
                       const uint64_t *keys, uint64_t limit, const gb_stack_event *events, uint64_t event_count,
                       const uint32_t *bases)
{
    uint64_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t number = numbers[i];
        if (number >= limit) {
            return GB_ERROR_RANGE;
        }
        uint64_t key = keys[number] ? keys[number] : address[i];
        if (state->step && state->lengths[state->current]) {
            /* Where an exception comes at once, this is its handler: the step went to where it came from. */
            uint64_t target = address[i], target_key = key;
            bool by_exception = false;
            for (uint64_t e = next; e < event_count && events[e].at <= i; e++) {
                if (events[e].kind == GB_AT_EXCEPTION) {
                    target = events[e].from;
                    target_key = events[e].key;
                    by_exception = true;
                    break;
                }
            }
            if (is_inside(state, target, by_exception)) {
                /* It was cut short, or its last instruction began again. */
            } else if (target - state->behind < GB_NEAR) {
                state->is_thunk |= state->step == GB_STEP_CALL;
            } else if (state->step == GB_STEP_CALL) {
                call(state, tree, state->behind, target_key, false);
            } else {
                go_back(state, tree, target, target_key);
            }
        }
        for (; next < event_count && events[next].at <= i; next++) {
            if (events[next].kind == GB_AT_EXCEPTION && state->lengths[state->current]) {
                call(state, tree, events[next].from, key, true);
            } else if (events[next].kind == GB_AT_SWITCH) {
                if (events[next].stack >= state->stack_count) {
                    return GB_ERROR_RANGE;
                }
                load_root(state, tree, events[next].stack, bases[events[next].stack], key);
            }
        }
        if (state->lengths[state->current]) {
            tree->nodes[top_node(state)].instructions += begun[i];
        }
        state->step = steps[number];
        state->start = address[i];
        state->behind = address[i] + bytes[number];
    }
    return 0;
}
