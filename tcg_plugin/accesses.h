/*
 * The access predictor: loads and stores in a few bits each, predicted from what the same instruction accessed before.
 *
 * The accesses of one execution of a block are a group. A block's shape is the list of the accesses it made last: a group
 * that is like its shape only lengthens a run. Each access of a shape has a slot, which predicts
 *   - the address: as far from the slot's last as twice before, or as far from the access before this one as last time
 *     (stack frames and structures move as one); whichever of the two was right when they last differed,
 *   - the value: of a load what was last seen at that address, or the slot's last; of a store the slot's last, moved on
 *     as twice before, or what was last seen there.
 * What is predicted lengthens a run; else the address is a difference from the predicted, the value stands as it is.
 * docs/trace-format.md has the format, and what it gains.
 *
 * No allocation in here. The caller sees to the encoder's capacity (has_capacity); the decoder is safe on any input.
 */
#ifndef GB_ACCESSES_H
#define GB_ACCESSES_H

#include <stdbool.h>
#include <string.h>

#include "codec.h"
#include "varint.h"

enum {
    GROUP_MOST = 256, /* a longer group goes on as another one of the same block */
    FIRST_SLOTS = 4,
    LONGEST_ACCESS = 6, /* words: 16 bytes of value */
    UNCHANGED = 0xffffffff,
};

#define INLINE static inline __attribute__((always_inline))

INLINE unsigned log2_size(unsigned meta)
{
    return meta >> 9 & 7;
}

INLINE bool has_value(unsigned meta)
{
    return meta >> 12 & 1;
}

INLINE unsigned value_words(unsigned meta)
{
    unsigned log2size = log2_size(meta);
    return has_value(meta) ? (log2size <= 2 ? 1 : 1u << (log2size - 2)) : 0;
}

INLINE uint64_t *content_of(gb_access_predictor *model, uint64_t address)
{
    return model->content + ((uint32_t)(address >> 3) * 0x9e3779b1u >> (32 - GB_CONTENT_BITS));
}

INLINE uint64_t predict_address(const gb_access_predictor *model, const gb_slot *slot)
{
    return slot->by_previous ? model->previous + slot->relative : slot->address + (uint64_t)(int64_t)slot->stride;
}

/* The other predictor takes over when it was right and this one was wrong. */
INLINE void update_address(gb_access_predictor *model, gb_slot *slot, uint64_t address, bool was_predicted)
{
    if (!was_predicted) {
        slot->by_previous ^= 1;
        slot->by_previous ^= address != predict_address(model, slot);
    }
    int32_t step = (int32_t)(uint32_t)(address - slot->address);
    slot->stride = step == slot->step ? step : slot->stride;
    slot->step = step;
    slot->relative = address - model->previous;
    slot->address = address;
    model->previous = address;
}

/* A value of up to 8 bytes and the two that were predicted for it. */
typedef struct {
    uint64_t *content;
    uint64_t mask, first, second;
    unsigned shift;
    bool within; /* one aligned word, so that the content of the address is known as one */
} gb_expected;

INLINE bool is_store(unsigned meta)
{
    return meta >> 13 & 1;
}

INLINE gb_expected predict_value(gb_access_predictor *model, const gb_slot *slot, uint64_t address)
{
    unsigned size = 1u << log2_size(slot->meta);
    gb_expected found = {.content = content_of(model, address), .shift = (unsigned)(address & 7) * 8};
    found.within = (address & 7) + size <= 8;
    found.mask = ~0ull >> (64 - 8 * size);
    uint64_t moved = (slot->value + (uint64_t)(int64_t)slot->value_stride) & found.mask;
    uint64_t seen = found.within ? *found.content >> found.shift & found.mask : moved;
    bool store = is_store(slot->meta);
    found.first = store ? moved : seen;
    found.second = store ? seen : moved;
    return found;
}

/* A correctly predicted load changes nothing, and most accesses are such loads. */
INLINE void update_value(gb_slot *slot, const gb_expected *expected, uint64_t value)
{
    if (is_store(slot->meta)) {
        int32_t step = (int32_t)(uint32_t)(value - slot->value);
        slot->value_stride = step == slot->value_step ? step : slot->value_stride;
        slot->value_step = step;
    } else if (value == expected->first) {
        return;
    }
    slot->value = value;
    if (expected->within) {
        *expected->content = (*expected->content & ~(expected->mask << expected->shift)) | value << expected->shift;
    }
}

/* Slot `at` of `shape` for an access that is `meta`, new if the shape has another one there; NULL if no slot is free. */
INLINE gb_slot *slot_at(gb_access_predictor *model, gb_shape *shape, unsigned at, unsigned meta, bool *is_new)
{
    if (__builtin_expect(at >= shape->capacity, 0)) {
        unsigned capacity = shape->capacity ? 2u * shape->capacity : FIRST_SLOTS;
        if (model->slot_capacity - model->slot_count < capacity) {
            return NULL;
        }
        memcpy(model->slots + model->slot_count, model->slots + shape->first, shape->count * sizeof(gb_slot));
        shape->first = (uint32_t)model->slot_count;
        shape->capacity = (uint16_t)capacity;
        model->slot_count += capacity;
    }
    gb_slot *slot = model->slots + shape->first + at;
    *is_new = at >= shape->count || slot->meta != meta;
    if (__builtin_expect(*is_new, 0)) {
        *slot = (gb_slot){.meta = (uint16_t)meta};
        shape->count = at >= shape->count ? (uint16_t)(at + 1) : shape->count;
    }
    return slot;
}

/* --- encoding ---------------------------------------------------------------------------------------------------- */

/* Whether `words` more words fit, whatever they are: codec.h has the bounds. */
INLINE bool has_capacity(const gb_access_encoder *out, uint64_t words)
{
    uint64_t bytes = 16 * words + 64;
    return out->shape_capacity - out->shape_bytes >= bytes && out->meta_capacity - out->meta_count >= bytes / 4 &&
           out->address_capacity - out->address_bytes >= bytes && out->value_run_capacity - out->value_run_bytes >= bytes &&
           out->value_capacity - out->value_bytes >= bytes &&
           out->model.slot_capacity - out->model.slot_count >= 4 * words + 512;
}

INLINE void close_group(gb_access_encoder *out)
{
    gb_shape *shape = out->model.shapes + out->block;
    if (__builtin_expect(out->changed == UNCHANGED && out->at == shape->count, 1)) {
        out->group_run++;
    } else {
        unsigned known = out->changed == UNCHANGED ? out->at : out->changed;
        uint8_t *end = put_varint(out->shapes + out->shape_bytes, out->group_run);
        end = put_varint(put_varint(end, out->at), known);
        out->shape_bytes = (uint64_t)(end - out->shapes);
        out->group_run = 0;
        shape->count = out->changed == UNCHANGED ? shape->count : (uint16_t)out->at;
    }
    out->at = 0;
    out->changed = UNCHANGED;
}

INLINE void begin_block(gb_access_encoder *out, uint32_t id)
{
    if (out->is_open) {
        close_group(out);
    }
    out->block = id;
}

/* How a value was predicted, which decides how it is stored. */
typedef enum { VALUE_FIRST, VALUE_SECOND, VALUE_NEW } gb_value_match;

INLINE gb_value_match match_long_value(gb_access_predictor *model, uint64_t address, const uint32_t *words)
{
    uint64_t low, high, *first = content_of(model, address), *second = content_of(model, address + 8);
    memcpy(&low, words, 8), memcpy(&high, words + 2, 8);
    bool known = !(address & 7) && *first == low && *second == high;
    if (!(address & 7)) {
        *first = low, *second = high;
    }
    return known ? VALUE_FIRST : VALUE_NEW;
}

INLINE gb_value_match match_value(gb_access_predictor *model, gb_slot *slot, uint64_t address, const uint32_t *words)
{
    unsigned log2size = log2_size(slot->meta);
    if (log2size == 4) {
        return match_long_value(model, address, words);
    }
    gb_expected expected = predict_value(model, slot, address);
    uint64_t value = (words[0] | (log2size == 3 ? (uint64_t)words[1] << 32 : 0)) & expected.mask;
    update_value(slot, &expected, value);
    return value == expected.first ? VALUE_FIRST : value == expected.second ? VALUE_SECOND : VALUE_NEW;
}

INLINE void encode_value(gb_access_encoder *out, gb_slot *slot, uint64_t address, const uint32_t *words)
{
    gb_value_match match = match_value(&out->model, slot, address, words);
    if (match == VALUE_FIRST) {
        out->value_run++;
        return;
    }
    uint8_t *end = put_varint(out->value_runs + out->value_run_bytes, out->value_run << 1 | (match == VALUE_SECOND));
    out->value_run_bytes = (uint64_t)(end - out->value_runs);
    out->value_run = 0;
    if (match == VALUE_NEW) {
        memcpy(out->values + out->value_bytes, words, 4 * value_words(slot->meta)); /* surplus bytes are overwritten */
        out->value_bytes += 1u << log2_size(slot->meta);
    }
}

/* The access at position `position`; false if no slot is free. */
INLINE bool encode_access(gb_access_encoder *out, uint64_t position, unsigned meta, uint64_t address,
                          const uint32_t *value)
{
    if (!out->is_open) { /* the first of the frame: all groups before it were empty, as their shapes are */
        out->is_open = 1;
        out->group_run = position;
    }
    bool is_new;
    gb_slot *slot = slot_at(&out->model, out->model.shapes + out->block, out->at, meta, &is_new);
    if (!slot) {
        return false;
    }
    if (__builtin_expect(is_new && out->changed == UNCHANGED, 0)) {
        out->changed = out->at;
    }
    if (out->changed != UNCHANGED) {
        out->metas[out->meta_count++] = (uint16_t)meta;
    }
    uint64_t expected = predict_address(&out->model, slot);
    if (address == expected) {
        out->address_run++;
    } else {
        uint8_t *end = put_varint(out->addresses + out->address_bytes, out->address_run);
        out->address_bytes = (uint64_t)(put_varint(end, zigzag(address - expected)) - out->addresses);
        out->address_run = 0;
    }
    update_address(&out->model, slot, address, address == expected);
    if (has_value(meta)) {
        encode_value(out, slot, address, value);
    }
    out->count++;
    if (++out->at == GROUP_MOST) {
        close_group(out);
    }
    return true;
}

#endif
