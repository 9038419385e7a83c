/* Rings taken apart: see codec.h and accesses.h. */
#include "accesses.h"
#include "matching.h"
#include "words.h"

INLINE int64_t put_event(gb_columns *out, const uint32_t *words, uint64_t length)
{
    if (out->event_count >= out->event_capacity || out->event_word_capacity - out->event_word_count < length) {
        return GB_ERROR_CAPACITY;
    }
    out->event_at[out->event_count] = (uint32_t)(out->base + out->id_count);
    out->event_offset[out->event_count++] = (uint32_t)out->event_word_count;
    memcpy(out->event_words + out->event_word_count, words, length * 4);
    out->event_word_count += length;
    return 0;
}

/* Something that is no id at `words`; returns its length in words or an error. */
INLINE int64_t split_other(const uint32_t *words, uint64_t left, gb_columns *out, gb_access_encoder *accesses)
{
    uint32_t word = words[0];
    uint64_t length, address;
    unsigned meta;
    const uint32_t *value;
    if (GB_WORD_KIND(word) == GB_KIND_MEMORY) {
        meta = word >> 16 & 0x3fff;
        length = 2 + value_words(meta);
        if (length > left || log2_size(meta) > 4) {
            return GB_ERROR_WORDS;
        }
        address = (uint64_t)(word & 0xffff) << 32 | words[1];
        address |= address >> 47 ? 0xffffull << 48 : 0;
        value = words + 2;
    } else {
        length = 1 + (word >> 16 & 0xff);
        if (length > left) {
            return GB_ERROR_WORDS;
        }
        if ((word >> 24 & 0x3f) != GB_EVENT_MEM_WIDE || length < 4) {
            int64_t result = put_event(out, words, length);
            return result ? result : (int64_t)length;
        }
        meta = words[1] >> 16 & 0x3fff;
        if (log2_size(meta) > 4 || length < 4 + value_words(meta)) {
            return GB_ERROR_WORDS;
        }
        address = get_64(words + 2);
        value = words + 4;
    }
    return encode_access(accesses, out->base + out->id_count, meta, address, value) ? (int64_t)length : GB_ERROR_CAPACITY;
}

/* The columns and the encoder are copied, so that what is hot of them lives in registers. */
int64_t gb_split(const uint32_t *words, uint64_t count, gb_columns *out, gb_access_encoder *accesses)
{
    gb_columns columns = *out;
    gb_access_encoder encoder = *accesses;
    if (!has_capacity(accesses, count)) {
        return GB_ERROR_CAPACITY;
    }
    for (uint64_t i = 0; i < count;) {
        if (encoder.is_open && encoder.changed == UNCHANGED) {
            i += split_matching(words + i, count - i, &columns, &encoder);
            if (i == count) {
                break;
            }
        }
        uint32_t word = words[i];
        if (!(word >> 31)) {
            if (columns.id_count >= columns.id_capacity) {
                return GB_ERROR_CAPACITY;
            }
            if (word >= encoder.model.limit) {
                return GB_ERROR_RANGE;
            }
            columns.ids[columns.id_count++] = word;
            begin_block(&encoder, word);
            i++;
        } else {
            int64_t length = split_other(words + i, count - i, &columns, &encoder);
            if (length < 0) {
                return length;
            }
            i += (uint64_t)length;
        }
    }
    *out = columns;
    *accesses = encoder;
    return 0;
}

int64_t gb_event_offsets(const uint32_t *words, uint64_t count, uint32_t *offset, uint64_t capacity)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < count;) {
        uint64_t length = 1 + (words[i] >> 16 & 0xff);
        if (GB_WORD_KIND(words[i]) != GB_KIND_EVENT || length > count - i) {
            return GB_ERROR_WORDS;
        }
        if (found >= capacity) {
            return GB_ERROR_CAPACITY;
        }
        offset[found++] = (uint32_t)i;
        i += length;
    }
    return (int64_t)found;
}
