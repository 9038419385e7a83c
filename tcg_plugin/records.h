/* Records of blocks and lists of events, as the codec's analyses walk them. All safe on any input. */
#ifndef GB_RECORDS_H
#define GB_RECORDS_H

#include <stdbool.h>
#include <string.h>

#include "codec.h"
#include "words.h"

/* The record of a number, NULL if there is none. */
static inline const gb_block *record_of(const gb_records *records, uint32_t number)
{
    if (number >= records->count || records->offset[number] >= records->bytes) {
        return NULL;
    }
    return (const gb_block *)(records->blob + records->offset[number]);
}

/* Whether the record's address is only where the block was first seen (GB_EVENT_CODE_PAGE in trace_abi.h). */
static inline bool is_movable(const gb_block *record)
{
    return (record->ring == 3 || record->flags & GB_BLOCK_MOVABLE) && record->offset != GB_NO_OFFSET;
}

/* Index of the instruction of `record` that starts at `address`, or -1; by page offset where the page is not known. */
static inline int instruction_at(const gb_block *record, uint64_t address)
{
    const uint8_t *lengths = (const uint8_t *)(record + 1);
    uint64_t distance = address - record->address;
    if (is_movable(record)) {
        distance &= GB_PAGE_BYTES - 1;
    }
    if (distance >= record->bytes) {
        return -1;
    }
    unsigned sum = 0;
    for (unsigned i = 0; i < record->instructions; i++) {
        if (sum == distance) {
            return (int)i;
        }
        sum += lengths[i];
    }
    return -1;
}

static inline unsigned event_type(const uint32_t *event)
{
    return event[0] >> 24 & 0x3f;
}

/* Words of payload. */
static inline unsigned event_words_of(const uint32_t *event)
{
    return event[0] >> 16 & 0xff;
}

/* Behind such an event something ran that was not recorded: the next block says nothing of the one before. */
static inline bool is_hole(const uint32_t *event)
{
    unsigned type = event_type(event);
    return type == GB_EVENT_GAP || type == GB_EVENT_FILTER || type == GB_EVENT_LEFT_OUT;
}

typedef struct {
    const uint32_t *at, *offset, *words;
    uint64_t count, word_count, next;
} event_walk;

/* The next event at `position` or before it; NULL when there is none. Events that do not fit are passed over. */
static inline const uint32_t *next_event(event_walk *walk, uint64_t position)
{
    while (walk->next < walk->count && walk->at[walk->next] <= position) {
        uint64_t offset = walk->offset[walk->next++];
        if (offset < walk->word_count && (walk->words[offset] >> 16 & 0xff) < walk->word_count - offset) {
            return walk->words + offset;
        }
    }
    return NULL;
}

#endif
