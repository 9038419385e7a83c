/* See stacks.h. */
#include "stacks.h"

#include <stdbool.h>
#include <string.h>

#define NOWHERE UINT64_MAX

_Static_assert(sizeof(gb_stack_node) == 24 && sizeof(gb_stack_entry) == 16 && sizeof(gb_stack_event) == 32,
               "qemu_bridge/trace/stacks.py has these as NumPy types");

int64_t gb_stacks_child(gb_stack_tree *tree, uint32_t parent, uint64_t key)
{
    uint64_t slot = (key + parent * 0xd1342543de82ef95ull) * 0x9e3779b97f4a7c15ull >> 32;
    for (;; slot++) {
        uint32_t *found = tree->table + (slot & tree->table_mask);
        if (!*found) {
            if (tree->node_count >= tree->node_room) {
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
    return state->stacks + (uint64_t)state->current * GB_STACK_ROOM;
}

static uint32_t top_node(const gb_stacks *state)
{
    return stack_of(state)[state->lengths[state->current] - 1].node;
}

static void push(gb_stacks *state, gb_stack_tree *tree, uint64_t behind, uint64_t key)
{
    gb_stack_entry *stack = stack_of(state);
    uint32_t *length = state->lengths + state->current, node = top_node(state);
    if (*length == GB_STACK_ROOM) {
        /* The process and the outermost function stay; of what is between, the older half goes. */
        memmove(stack + 2, stack + GB_STACK_ROOM / 2, GB_STACK_ROOM / 2 * sizeof *stack);
        *length = GB_STACK_ROOM / 2 + 2;
    }
    node = *length >= GB_DEEPEST ? node : (uint32_t)gb_stacks_child(tree, node, key);
    stack[(*length)++] = (gb_stack_entry){.behind = behind, .node = node};
}

/* Begin the current stack anew, in a function of the process. */
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
        to[at].is_exception = from[at].is_exception;
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

/* Keep the current stack, but for its last entry, in place of the one that was put aside first. */
static void put_aside(gb_stacks *state)
{
    unsigned oldest = 0;
    uint32_t length = state->lengths[state->current] - 1;
    for (unsigned i = 1; i < GB_THREADS; i++) {
        oldest = state->aside_ages[i] < state->aside_ages[oldest] ? i : oldest;
    }
    memcpy(state->aside + (uint64_t)oldest * GB_STACK_ROOM, stack_of(state), length * sizeof(gb_stack_entry));
    state->aside_lengths[oldest] = length;
    state->aside_ages[oldest] = ++state->age;
}

/* Take the stack that has `address` to return to; whether there is one. */
static bool take_up(gb_stacks *state, gb_stack_tree *tree, uint64_t address)
{
    unsigned best = 0;
    uint32_t length = 0;
    for (unsigned i = 0; i < GB_THREADS; i++) {
        const gb_stack_entry *stack = state->aside + (uint64_t)i * GB_STACK_ROOM;
        uint32_t at = length && state->aside_ages[i] < state->aside_ages[best] ? 0 : state->aside_lengths[i];
        for (; at > 2; at--) {
            if (stack[at - 1].behind == address) {
                best = i;
                length = at - 1;
                break;
            }
        }
    }
    if (length) {
        take_over(state, tree, state->aside + (uint64_t)best * GB_STACK_ROOM, length);
        state->aside_lengths[best] = 0;
        state->aside_ages[best] = 0;
    }
    return length != 0;
}

/* --- steps ------------------------------------------------------------------------------------------------------ */

static void call(gb_stacks *state, gb_stack_tree *tree, uint64_t behind, uint64_t key, bool is_exception)
{
    state->is_thunk = 0;
    state->is_switch |= state->switch_key && key == state->switch_key;
    push(state, tree, behind, key);
    stack_of(state)[state->lengths[state->current] - 1].is_exception = is_exception;
}

/* Entries up to the last one that a return to `address` ends, or 0. An iret may go elsewhere: the handler mended the fault. */
static uint32_t find_caller(const gb_stacks *state, uint64_t address)
{
    const gb_stack_entry *stack = stack_of(state);
    uint32_t exception = 0;
    for (uint32_t at = state->lengths[state->current]; at > 2; at--) {
        if (stack[at - 1].behind == address) {
            return at - 1;
        }
        exception = exception || !stack[at - 1].is_exception ? exception : at - 1;
    }
    return state->step == GB_STEP_IRET ? exception : 0;
}

static void go_back(gb_stacks *state, gb_stack_tree *tree, uint64_t address, uint64_t key)
{
    gb_stack_entry *stack = stack_of(state);
    uint32_t length = state->lengths[state->current];
    bool is_thunk = state->is_thunk, is_switch = state->is_switch;
    state->is_thunk = state->is_switch = 0;
    if (is_switch) {
        put_aside(state);
        begin(state, tree, key);
        state->unsettled[state->current] = 1;
        return;
    }
    uint32_t caller = find_caller(state, address);
    if (caller) {
        state->lengths[state->current] = caller;
        return;
    }
    if (is_thunk && length > 1 && stack[length - 1].behind != NOWHERE) {
        /* A return that was made into a jump leaves for another function. */
        uint64_t behind = stack[length - 1].behind;
        state->lengths[state->current]--;
        push(state, tree, behind, key);
        return;
    }
    bool unsettled = state->unsettled[state->current];
    state->unsettled[state->current] = 0;
    /* Any other is the end of what was known. */
    if (!unsettled || !take_up(state, tree, address)) {
        begin(state, tree, key);
    }
}

/* Whether `address` lies in the block before; one that calls itself does not count. */
static bool is_inside(const gb_stacks *state, uint64_t address)
{
    return address - state->start < state->behind - state->start &&
           !(address == state->start && state->step == GB_STEP_CALL);
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
            for (uint64_t e = next; e < event_count && events[e].at <= i; e++) {
                if (events[e].kind == GB_AT_EXCEPTION) {
                    target = events[e].from;
                    target_key = events[e].key;
                    break;
                }
            }
            if (is_inside(state, target)) {
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
