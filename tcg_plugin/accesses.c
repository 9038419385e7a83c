/* See accesses.h and codec.h. */
#include "accesses.h"

int64_t gb_have_capacity(const gb_access_encoder *out, uint64_t words)
{
    return has_capacity(out, words);
}

int64_t gb_end_accesses(gb_access_encoder *out)
{
    if (!out->is_open) {
        return 0;
    }
    if (!has_capacity(out, 0)) {
        return GB_ERROR_CAPACITY;
    }
    close_group(out);
    out->shape_bytes = (uint64_t)(put_varint(out->shapes + out->shape_bytes, out->group_run) - out->shapes);
    out->address_bytes = (uint64_t)(put_varint(out->addresses + out->address_bytes, out->address_run) - out->addresses);
    out->value_run_bytes =
        (uint64_t)(put_varint(out->value_runs + out->value_run_bytes, out->value_run << 1) - out->value_runs);
    out->group_run = out->address_run = out->value_run = 0;
    out->is_open = 0;
    return 0;
}

/* --- decoding ---------------------------------------------------------------------------------------------------- */

/* Runs and what ends each, of one stream. `left` of the run are still to come. */
typedef struct {
    const uint8_t *at, *end;
    uint64_t left;
    bool second;
} gb_runs;

INLINE bool next_run(gb_runs *runs, bool has_second)
{
    uint64_t coded;
    runs->at = get_varint(runs->at, runs->end, &coded);
    if (!runs->at) {
        return false;
    }
    runs->left = has_second ? coded >> 1 : coded;
    runs->second = has_second && coded & 1;
    return true;
}

typedef struct {
    gb_access_predictor *model;
    gb_runs groups, addresses, value_runs;
    const uint16_t *meta, *meta_end;
    const uint8_t *value, *value_end;
} gb_decoder;

INLINE int64_t decode_address(gb_decoder *in, gb_slot *slot, uint64_t *address)
{
    uint64_t expected = predict_address(in->model, slot);
    *address = expected;
    if (in->addresses.left) {
        in->addresses.left--;
    } else {
        uint64_t difference;
        in->addresses.at = get_varint(in->addresses.at, in->addresses.end, &difference);
        if (!in->addresses.at || !next_run(&in->addresses, false)) {
            return GB_ERROR_SHORT;
        }
        *address += unzigzag(difference);
    }
    update_address(in->model, slot, *address, *address == expected);
    return 0;
}

/* `size` bytes as they stand, and the run behind them. */
INLINE bool take_value(gb_decoder *in, void *value, unsigned size)
{
    if ((size_t)(in->value_end - in->value) < size) {
        return false;
    }
    memcpy(value, in->value, size);
    in->value += size;
    return next_run(&in->value_runs, true);
}

INLINE int64_t decode_long_value(gb_decoder *in, uint64_t address, uint64_t value[2])
{
    uint64_t *first = content_of(in->model, address), *second = content_of(in->model, address + 8);
    if (in->value_runs.left) {
        if (address & 7) {
            return GB_ERROR_RANGE;
        }
        in->value_runs.left--;
        value[0] = *first, value[1] = *second;
    } else if (in->value_runs.second) {
        return GB_ERROR_RANGE;
    } else if (!take_value(in, value, 16)) {
        return GB_ERROR_SHORT;
    }
    if (!(address & 7)) {
        *first = value[0], *second = value[1];
    }
    return 0;
}

INLINE int64_t decode_value(gb_decoder *in, gb_slot *slot, uint64_t address, uint64_t value[2])
{
    if (log2_size(slot->meta) == 4) {
        return decode_long_value(in, address, value);
    }
    gb_expected expected = predict_value(in->model, slot, address);
    if (in->value_runs.left) {
        in->value_runs.left--;
        value[0] = expected.first;
    } else if (in->value_runs.second) {
        value[0] = expected.second;
        if (!next_run(&in->value_runs, true)) {
            return GB_ERROR_SHORT;
        }
    } else if (!take_value(in, value, 1u << log2_size(slot->meta))) {
        return GB_ERROR_SHORT;
    }
    update_value(slot, &expected, value[0]);
    return 0;
}

/* How many accesses the next group has, and how many of them are as the shape says. */
INLINE int64_t decode_group(gb_decoder *in, const gb_shape *shape, unsigned *size, unsigned *known)
{
    if (in->groups.left) {
        in->groups.left--;
        *size = *known = shape->count;
        return 0;
    }
    uint64_t n, k;
    in->groups.at = get_varint(in->groups.at, in->groups.end, &n);
    if (!in->groups.at || !(in->groups.at = get_varint(in->groups.at, in->groups.end, &k)) ||
        !next_run(&in->groups, false)) {
        return GB_ERROR_SHORT;
    }
    if (n > GROUP_MOST || k > n || k > shape->count || (uint64_t)(in->meta_end - in->meta) < n - k) {
        return GB_ERROR_RANGE;
    }
    *size = (unsigned)n, *known = (unsigned)k;
    return 0;
}

typedef struct {
    uint32_t *at;
    uint16_t *meta;
    uint64_t *address, *value;
    uint64_t done, count;
} gb_accesses;

INLINE int64_t decode_access(gb_decoder *in, gb_shape *shape, unsigned at, bool known, uint32_t position,
                             gb_accesses *out)
{
    bool is_new;
    unsigned meta = known ? in->model->slots[shape->first + at].meta : *in->meta++;
    if (log2_size(meta) > 4 || out->done == out->count) {
        return GB_ERROR_RANGE;
    }
    gb_slot *slot = slot_at(in->model, shape, at, meta, &is_new);
    if (!slot) {
        return GB_ERROR_CAPACITY;
    }
    uint64_t i = out->done++, *value = out->value + 2 * i;
    out->at[i] = position;
    out->meta[i] = (uint16_t)meta;
    value[0] = value[1] = 0;
    int64_t result = decode_address(in, slot, out->address + i);
    return result || !has_value(meta) ? result : decode_value(in, slot, out->address[i], value);
}

static int64_t decode_block(gb_decoder *in, gb_shape *shape, uint32_t position, gb_accesses *out)
{
    unsigned size, known;
    do {
        int64_t result = decode_group(in, shape, &size, &known);
        for (unsigned at = 0; !result && at < size; at++) {
            result = decode_access(in, shape, at, at < known, position, out);
        }
        if (result) {
            return result;
        }
        if (known < size) {
            shape->count = (uint16_t)size;
        }
    } while (size == GROUP_MOST);
    return 0;
}

int64_t gb_decode_accesses(gb_access_predictor *model, const gb_access_streams *in, const uint32_t *blocks, uint64_t block_count,
                           uint32_t following, uint64_t count, uint32_t *at, uint16_t *meta, uint64_t *address,
                           uint64_t *value)
{
    gb_decoder decoder = {
        .model = model,
        .groups = {in->shapes, in->shapes + in->shape_bytes, 0, false},
        .addresses = {in->addresses, in->addresses + in->address_bytes, 0, false},
        .value_runs = {in->value_runs, in->value_runs + in->value_run_bytes, 0, false},
        .meta = in->metas, .meta_end = in->metas + in->meta_count,
        .value = in->values, .value_end = in->values + in->value_bytes,
    };
    gb_accesses out = {at, meta, address, value, 0, count};
    uint64_t groups = 1 + block_count + (following != UINT32_MAX);
    if (block_count >= UINT32_MAX) {
        return GB_ERROR_RANGE;
    }
    if (!next_run(&decoder.groups, false) || !next_run(&decoder.addresses, false) ||
        !next_run(&decoder.value_runs, true)) {
        return GB_ERROR_SHORT;
    }
    for (uint64_t position = 0; position < groups; position++) {
        /* Shape 0 is that of no block. */
        uint64_t number = position ? (uint64_t)(position <= block_count ? blocks[position - 1] : following) + 1 : 0;
        if (number >= model->limit) {
            return GB_ERROR_RANGE;
        }
        int64_t result = decode_block(&decoder, model->shapes + number, (uint32_t)position, &out);
        if (result) {
            return result;
        }
    }
    bool is_done = out.done == count && decoder.meta == decoder.meta_end && decoder.value == decoder.value_end &&
                   !decoder.groups.left && decoder.groups.at == decoder.groups.end && !decoder.addresses.left &&
                   decoder.addresses.at == decoder.addresses.end && !decoder.value_runs.left &&
                   !decoder.value_runs.second && decoder.value_runs.at == decoder.value_runs.end;
    return is_done ? 0 : GB_ERROR_REST;
}
