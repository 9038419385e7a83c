/* Executed blocks as runs and misses, and ascending numbers: see codec.h. */
#include "codec.h"
#include "varint.h"

#include <stdbool.h>

static uint32_t local_number(gb_encoder *state, uint32_t id)
{
    if (!state->local[id]) {
        state->order[state->local_count++] = id;
        state->local[id] = (uint32_t)state->local_count;
    }
    return state->local[id] - 1;
}

int64_t gb_encode_blocks(gb_encoder *state, const uint32_t *ids, uint64_t count, uint8_t *runs, uint64_t *run_bytes,
                         uint64_t run_capacity, uint32_t *misses, uint64_t *miss_count, uint64_t miss_capacity)
{
    if (*run_bytes > run_capacity || (run_capacity - *run_bytes) / VARINT_MOST < count + 1 || *miss_count > miss_capacity ||
        miss_capacity - *miss_count < count) {
        return GB_ERROR_CAPACITY;
    }
    uint8_t *at = runs + *run_bytes;
    uint32_t *miss = misses + *miss_count;
    uint64_t run = state->run;
    uint32_t previous = state->previous;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t id = ids[i];
        uint32_t *successor = state->successors + 2 * (uint64_t)previous;
        previous = id;
        if (successor[0] == id && id) {
            run++;
            continue;
        }
        if (id >= state->limit || !id) {
            return GB_ERROR_RANGE;
        }
        bool second = successor[1] == id;
        at = put_varint(at, run << 1 | second);
        run = 0;
        if (!second) {
            *miss++ = local_number(state, id);
        }
        successor[1] = successor[0];
        successor[0] = id;
    }
    state->run = run;
    state->previous = previous;
    *run_bytes = (uint64_t)(at - runs);
    *miss_count = (uint64_t)(miss - misses);
    return 0;
}

int64_t gb_encode_end(gb_encoder *state, uint8_t *runs, uint64_t *run_bytes, uint64_t run_capacity)
{
    if (*run_bytes > run_capacity || run_capacity - *run_bytes < VARINT_MOST) {
        return GB_ERROR_CAPACITY;
    }
    *run_bytes = (uint64_t)(put_varint(runs + *run_bytes, state->run << 1) - runs);
    state->run = 0;
    return 0;
}

int64_t gb_decode_blocks(const uint8_t *runs, uint64_t run_bytes, const uint32_t *misses, uint64_t miss_count,
                         uint32_t *successors, uint64_t limit, uint32_t *out, uint64_t count)
{
    const uint8_t *at = runs, *end = runs + run_bytes;
    const uint32_t none = UINT32_MAX;
    uint32_t first[2] = {none, none}; /* successors of the stream's beginning */
    uint32_t *successor = first;
    uint64_t done = 0, missed = 0;
    if (limit >= none) {
        return GB_ERROR_RANGE;
    }
    for (uint64_t i = 0; i < 2 * limit; i++) {
        successors[i] = none;
    }
    for (;;) {
        uint64_t coded;
        at = get_varint(at, end, &coded);
        if (!at) {
            return GB_ERROR_SHORT;
        }
        uint64_t run = coded >> 1;
        if (run > count - done) {
            return GB_ERROR_RANGE;
        }
        for (; run; run--) {
            uint32_t block = successor[0];
            if (block == none) {
                return GB_ERROR_RANGE;
            }
            out[done++] = block;
            successor = successors + 2 * (uint64_t)block;
        }
        if (done == count) {
            break;
        }
        uint32_t block;
        if (coded & 1) {
            block = successor[1];
        } else if (missed < miss_count) {
            block = misses[missed++];
        } else {
            return GB_ERROR_SHORT;
        }
        if (block >= limit) {
            return GB_ERROR_RANGE;
        }
        successor[1] = successor[0];
        successor[0] = block;
        out[done++] = block;
        successor = successors + 2 * (uint64_t)block;
    }
    return at == end && missed == miss_count ? 0 : GB_ERROR_REST;
}

int64_t gb_encode_ascending(uint32_t *previous, const uint32_t *values, uint64_t count, uint8_t *out, uint64_t capacity)
{
    uint8_t *end = out;
    if (capacity / VARINT_MOST < count) {
        return GB_ERROR_CAPACITY;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (values[i] < *previous) {
            return GB_ERROR_RANGE;
        }
        end = put_varint(end, values[i] - *previous);
        *previous = values[i];
    }
    return end - out;
}

int64_t gb_decode_ascending(const uint8_t *bytes, uint64_t size, uint32_t *values, uint64_t count, uint64_t limit)
{
    const uint8_t *at = bytes, *end = bytes + size;
    uint64_t value = 0, step;
    for (uint64_t i = 0; i < count; i++) {
        at = get_varint(at, end, &step);
        if (!at) {
            return GB_ERROR_SHORT;
        }
        if (value > limit || step > limit - value || limit > UINT32_MAX) {
            return GB_ERROR_RANGE;
        }
        value += step;
        values[i] = (uint32_t)value;
    }
    return at == end ? 0 : GB_ERROR_REST;
}
