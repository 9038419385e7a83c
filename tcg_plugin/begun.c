/* Instructions that began in each block, which may end early: see codec.h and docs/trace.md. */
#include "records.h"

/* Faults point at the instruction that could not be finished; traps and aborts behind a finished one, and interrupts
 * come between blocks. */
static bool is_fault(unsigned vector)
{
    return vector < 32 && vector != 1 && vector != 2 && vector != 3 && vector != 4 && vector != 9;
}

/* What one event says of the block before it: instructions begun, or -1 for nothing. */
static int cut_by(const gb_block *block, const uint32_t *event)
{
    unsigned type = event_type(event), words = event_words_of(event);
    unsigned vector = event[0] & 0xffff;
    bool fault = type == GB_EVENT_EXCEPTION && words >= 4 && is_fault(vector);
    /* A fault of the fetch itself (bit 4 of a page fault's error code) began nothing. */
    if ((type == GB_EVENT_IO_DONE && words >= 2) || (fault && !(vector == 14 && event[3] & 16))) {
        int index = instruction_at(block, get_64(event + 1));
        return index < 0 ? -1 : index + 1;
    }
    return -1;
}

static bool is_before(const gb_block *after, const gb_block *before)
{
    if (!after || after->instructions != 1 || before->instructions == 1) {
        return false;
    }
    uint64_t distance = after->address - before->address;
    if (is_movable(before)) {
        return after->offset >> 12 == before->offset >> 12 && (distance & (GB_PAGE_BYTES - 1)) < before->bytes;
    }
    return distance < before->bytes;
}

static unsigned instructions_of(const gb_records *records, uint32_t number)
{
    return number < records->count ? records->instructions[number] : 0;
}

/* Instructions begun in `block`, by the events behind it and the block `after` it (or NULL). */
static __attribute__((noinline)) unsigned begun_of(const gb_block *block, const gb_block *after, event_walk *walk,
                                                   uint64_t position)
{
    int cut = -1;
    bool whole = false, hole = false;
    const uint32_t *event;
    while ((event = next_event(walk, position))) {
        hole |= is_hole(event);
        whole |= hole || event_type(event) == GB_EVENT_BLOCK_END;
        cut = cut < 0 && !hole ? cut_by(block, event) : cut;
    }
    /* A repeated string instruction that was interrupted goes on as a block of its own. */
    if (cut < 0 && !whole && is_before(after, block)) {
        int index = instruction_at(block, after->address);
        cut = index < 0 ? -1 : index + 1;
    }
    return cut < 0 ? block->instructions : (unsigned)cut;
}

int64_t gb_begun(const gb_records *records, const uint32_t *blocks, uint64_t count, uint32_t next,
                 const uint32_t *event_at, const uint32_t *event_offset, uint64_t event_count,
                 const uint32_t *event_words, uint64_t event_word_count, uint64_t base, uint16_t *begun)
{
    event_walk walk = {event_at, event_offset, event_words, event_count, event_word_count, 0};
    uint64_t sum = 0;
    if (!count) {
        return 0;
    }
    while (next_event(&walk, base)) {
    }
    uint64_t event_position = walk.next < walk.count ? walk.at[walk.next] : UINT64_MAX;
    const uint16_t *instructions = records->instructions;
    uint64_t limit = records->count;
    unsigned here = instructions_of(records, blocks[0]);
    for (uint64_t i = 0; i < count; i++) {
        /* Most blocks: no event is near, and the one after is not what is left of a repeated string instruction. */
        uint64_t quiet = event_position > base && event_position - base - 1 < count - 1 ? event_position - base - 1 : count - 1;
        for (; i < quiet && here && blocks[i + 1] < limit; i++) {
            unsigned following = instructions[blocks[i + 1]];
            if (following == 1 && here > 1) {
                break;
            }
            sum += here;
            if (begun) {
                begun[i] = (uint16_t)here;
            }
            here = following;
        }
        uint32_t after = i + 1 < count ? blocks[i + 1] : next;
        const gb_block *block = record_of(records, blocks[i]);
        if (!here || !block) {
            return GB_ERROR_RANGE;
        }
        here = begun_of(block, record_of(records, after), &walk, base + i + 1);
        event_position = walk.next < walk.count ? walk.at[walk.next] : UINT64_MAX;
        sum += here;
        if (begun) {
            begun[i] = (uint16_t)here;
        }
        here = instructions_of(records, after);
    }
    return (int64_t)sum;
}
