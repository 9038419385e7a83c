/*
 * The short way through a ring's words: blocks and accesses that match the shapes of their blocks, as nearly all do. What
 * it leaves is the same as that of encode_access and begin_block (accesses.h), which take one word after another.
 *
 * Here a wrong prediction costs no mispredicted jump: its place and its error are written down for each access, and kept
 * if there is an error. Once a round they are put into the streams. Only loads of what was not there are jumped for,
 * because few are.
 */
#ifndef GB_MATCHING_H
#define GB_MATCHING_H

#include "accesses.h"

enum { ROUND_WORDS = 4096, ROUND_ACCESSES = ROUND_WORDS / 2 };

typedef struct {
    uint64_t error, at; /* `at`: accesses of this round before */
} gb_address_miss;

/* One more than are kept: the last is written in vain. */
typedef struct {
    gb_address_miss addresses[ROUND_ACCESSES + 1], *address;
    uint32_t values[ROUND_ACCESSES + 1], *value; /* accesses before << 1 | second */
} gb_misses;

/* Put what a round of `count` accesses missed into the streams; `valued`: they have values. */
static __attribute__((noinline)) void put_misses(gb_access_encoder *out, const gb_misses *misses, uint64_t count, bool valued)
{
    uint8_t *end = out->addresses + out->address_bytes;
    uint64_t next = 0 - out->address_run;
    for (const gb_address_miss *miss = misses->addresses; miss < misses->address; miss++) {
        end = put_varint_at_once(put_varint_at_once(end, miss->at - next), zigzag(miss->error));
        next = miss->at + 1;
    }
    out->address_bytes = (uint64_t)(end - out->addresses);
    out->address_run = count - next;
    if (!valued) {
        return;
    }
    end = out->value_runs + out->value_run_bytes;
    next = 0 - out->value_run;
    for (const uint32_t *miss = misses->values; miss < misses->value; miss++) {
        uint64_t at = *miss >> 1;
        end = put_varint_at_once(end, (at - next) << 1 | (*miss & 1));
        next = at + 1;
    }
    out->value_run_bytes = (uint64_t)(end - out->value_runs);
    out->value_run = count - next;
}

/* The address of an access whose two words are `words`. */
INLINE uint64_t address_of(uint64_t words)
{
    return (uint64_t)((int64_t)((words << 32 | words >> 32) << 16) >> 16);
}

/* Predict the address of the access number `at` of this round; its error goes to `miss`. Returns where the next goes to. */
INLINE gb_address_miss *match_address(gb_slot *slot, uint64_t address, uint64_t previous, uint64_t at, gb_address_miss *miss)
{
    uint64_t step = address - slot->address, relative = address - previous;
    uint64_t by_stride = step - (uint64_t)(int64_t)slot->stride, by_previous = relative - slot->relative;
    uint64_t error = slot->by_previous ? by_previous : by_stride, other = by_stride ^ by_previous ^ error;
    *miss = (gb_address_miss){error, at};
    slot->by_previous ^= (error != 0) & (other == 0);
    slot->stride = (int32_t)step == slot->step ? slot->step : slot->stride;
    slot->step = (int32_t)step;
    slot->relative = relative;
    slot->address = address;
    return miss + (error != 0);
}

/* The same for a value in one aligned 8-byte word; `end` is that of the values. */
INLINE uint32_t *match_word(gb_access_predictor *model, gb_slot *slot, uint64_t address, const uint32_t *words, uint32_t at,
                            uint32_t *miss, uint8_t **end)
{
    static const uint64_t masks[4] = {0xff, 0xffff, 0xffffffff, UINT64_MAX};
    unsigned log2size = log2_size(slot->meta), shift = (unsigned)(address & 7) * 8;
    uint64_t mask = masks[log2size], value, *content = content_of(model, address);
    memcpy(&value, words, sizeof value);
    value &= mask;
    uint64_t change = (*content >> shift & mask) ^ value;
    if (!is_store(slot->meta) && !change) {
        return miss;
    }
    bool is_moved = !(((slot->value + (uint64_t)(int64_t)slot->value_stride) ^ value) & mask);
    bool is_second = is_moved, is_miss = true;
    *content ^= change << shift;
    if (is_store(slot->meta)) {
        int32_t step = (int32_t)(uint32_t)(value - slot->value);
        slot->value_stride = step == slot->value_step ? step : slot->value_stride;
        slot->value_step = step;
        is_second = !change, is_miss = !is_moved;
    }
    slot->value = value;
    *miss = at << 1 | is_second;
    memcpy(*end, &value, sizeof value); /* surplus bytes are overwritten */
    *end += (uint64_t)(is_miss & !is_second) << log2size;
    return miss + is_miss;
}

/* One round, until there are no LONGEST_ACCESS words left or something does not match. Returns how many words it took. */
INLINE uint64_t split_round(const uint32_t *words, uint64_t count, gb_columns *columns, gb_access_encoder *out,
                            const bool valued)
{
    gb_misses misses;
    gb_address_miss *address_miss = misses.addresses;
    uint32_t *value_miss = misses.values;
    gb_access_predictor model = out->model;
    const gb_shape *shape = model.shapes + out->block;
    gb_slot *slot = model.slots + shape->first + out->at, *end = model.slots + shape->first + shape->count;
    uint32_t *ids = columns->ids + columns->id_count, *id = ids;
    uint8_t *values = out->values + out->value_bytes;
    const uint32_t *word = words, *last = words + count - LONGEST_ACCESS;
    uint64_t done = 0, full = 0;
    while (word <= last) {
        if (slot != end) {
            uint64_t both;
            memcpy(&both, word, sizeof both);
            if ((uint32_t)both >> 16 != (GB_KIND_MEMORY << 14 | slot->meta) || has_value(slot->meta) != valued) {
                break;
            }
            uint64_t address = address_of(both);
            address_miss = match_address(slot, address, model.previous, done, address_miss);
            model.previous = address;
            word += 2;
            if (valued && __builtin_expect((address & 7) + (1u << log2_size(slot->meta)) <= 8, 1)) {
                value_miss = match_word(&model, slot, address, word, (uint32_t)done, value_miss, &values);
                word += 1 + (log2_size(slot->meta) == 3);
            } else if (valued) {
                gb_value_match match = match_value(&model, slot, address, word);
                *value_miss = (uint32_t)done << 1 | (match == VALUE_SECOND);
                value_miss += match != VALUE_FIRST;
                memcpy(values, word, 16);
                values += match == VALUE_NEW ? 1u << log2_size(slot->meta) : 0;
                word += value_words(slot->meta);
            }
            done++;
            slot++;
        } else if (__builtin_expect(shape->count == GROUP_MOST, 0)) {
            slot -= GROUP_MOST;
            full++;
        } else {
            if (*word >= model.limit) {
                break;
            }
            shape = model.shapes + *word;
            *id++ = *word++;
            slot = model.slots + shape->first;
            end = slot + shape->count;
        }
    }
    uint64_t at = (uint64_t)(slot - model.slots) - shape->first;
    full += at == GROUP_MOST;
    out->at = at == GROUP_MOST ? 0 : (uint32_t)at;
    out->block = (uint32_t)(shape - model.shapes);
    out->count += done;
    out->group_run += (uint64_t)(id - ids) + full;
    out->model.previous = model.previous;
    out->value_bytes = (uint64_t)(values - out->values);
    columns->id_count += (uint64_t)(id - ids);
    misses.address = address_miss, misses.value = value_miss;
    put_misses(out, &misses, done, valued);
    return (uint64_t)(word - words);
}

static __attribute__((noinline)) uint64_t split_round_of_addresses(const uint32_t *words, uint64_t count, gb_columns *columns,
                                                                   gb_access_encoder *out)
{
    return split_round(words, count, columns, out, false);
}

static __attribute__((noinline)) uint64_t split_round_of_values(const uint32_t *words, uint64_t count, gb_columns *columns,
                                                                gb_access_encoder *out)
{
    return split_round(words, count, columns, out, true);
}

/* Rounds, as long as words match. A group must be open, and no access of it must have differed from its shape. Returns how
 * many words they took. */
INLINE uint64_t split_matching(const uint32_t *words, uint64_t count, gb_columns *columns, gb_access_encoder *out)
{
    /* All accesses of a window have values, or none has. */
    bool valued = has_value(out->model.slots[0].meta);
    uint64_t taken = 0, space, some, more;
    do {
        space = columns->id_capacity - columns->id_count;
        some = count - taken < ROUND_WORDS ? count - taken : ROUND_WORDS;
        some = space < some ? space : some;
        if (some < LONGEST_ACCESS) {
            break;
        }
        more = (valued ? split_round_of_values : split_round_of_addresses)(words + taken, some, columns, out);
        taken += more;
    } while (some == ROUND_WORDS && more > some - LONGEST_ACCESS);
    return taken;
}

#endif
