/* Records indexed and checked; where each block ran: see codec.h. */
#include "records.h"

static bool is_whole(const gb_block *record)
{
    const uint8_t *lengths = (const uint8_t *)(record + 1);
    unsigned sum = 0;
    for (unsigned i = 0; i < record->instructions; i++) {
        sum += lengths[i];
    }
    return record->instructions && sum == record->bytes;
}

int64_t gb_index_records(const uint8_t *blob, uint64_t bytes, uint64_t base, uint64_t *offset, uint16_t *instructions,
                         uint64_t capacity, uint32_t *largest)
{
    int64_t found = 0;
    uint64_t at = 0;
    while (at < bytes) {
        gb_block record = {0};
        if (bytes - at < 8) {
            return GB_ERROR_SHORT;
        }
        memcpy(&record, blob + at, bytes - at < sizeof record ? 8 : sizeof record);
        if (record.size < 8 || record.size % 8 || record.size > bytes - at) {
            return GB_ERROR_RANGE;
        }
        if (record.id) {
            if (record.size < sizeof record + record.instructions + record.bytes || record.size < sizeof record ||
                record.id >> 31 || !is_whole((const gb_block *)(blob + at))) {
                return GB_ERROR_RANGE;
            }
            if (record.id > *largest) {
                *largest = record.id;
            }
            if ((uint64_t)found >= capacity) {
                return GB_ERROR_CAPACITY;
            }
            offset[found] = base + at;
            instructions[found++] = record.instructions;
        }
        at += record.size;
    }
    return found;
}

/* Index of `page` in `pages`, which ascend, or -1. */
static int64_t find_page(const uint32_t *pages, uint64_t count, uint32_t page)
{
    uint64_t low = 0, high = count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (pages[middle] < page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && pages[low] == page ? (int64_t)low : -1;
}

int64_t gb_addresses(const gb_records *records, const uint32_t *slots, const uint32_t *pages, uint64_t *homes,
                     uint64_t page_count, const uint32_t *blocks, uint64_t count, const uint32_t *event_at,
                     const uint32_t *event_offset, uint64_t event_count, const uint32_t *event_words,
                     uint64_t event_word_count, uint64_t *address)
{
    event_walk walk = {event_at, event_offset, event_words, event_count, event_word_count, 0};
    for (uint64_t i = 0; i < count; i++) {
        const gb_block *block = record_of(records, blocks[i]);
        if (!block) {
            return GB_ERROR_RANGE;
        }
        if (walk.next < walk.count && walk.at[walk.next] <= i) {
            const uint32_t *event;
            while ((event = next_event(&walk, i))) {
                if (event_type(event) == GB_EVENT_CODE_PAGE && event_words_of(event) >= 3) {
                    int64_t slot = find_page(pages, page_count, event[1]);
                    if (slot >= 0) {
                        homes[slot] = get_64(event + 2);
                    }
                }
            }
        }
        uint32_t slot = slots[blocks[i]];
        address[i] = block->address;
        if (slot < page_count && homes[slot] != UINT64_MAX) {
            address[i] = homes[slot] << 12 | (block->offset & (GB_PAGE_BYTES - 1));
        }
    }
    return 0;
}
