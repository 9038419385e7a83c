/* Continuity of executed blocks: see codec.h. */
#include "records.h"

/* Addresses as the mode sees them: instruction pointers of 16 bits wrap inside a segment whose base is not known. */
static bool is_same(uint64_t a, uint64_t b, unsigned mode)
{
    return mode == 64 ? a == b : mode == 32 ? (uint32_t)a == (uint32_t)b : (uint16_t)a == (uint16_t)b;
}

static bool follows(const gb_block *block, const gb_ending *ending, uint64_t start)
{
    uint64_t behind = block->address + block->bytes;
    switch (ending->flow) {
    case GB_FLOW_ANY:
        return true;
    case GB_FLOW_JUMP:
        return is_same(start, ending->target, block->mode);
    case GB_FLOW_REPEAT: {
        const uint8_t *lengths = (const uint8_t *)(block + 1);
        return is_same(start, behind, block->mode) ||
               is_same(start, behind - lengths[block->instructions - 1], block->mode);
    }
    default:
        return is_same(start, behind, block->mode) || is_same(start, ending->target, block->mode);
    }
}

/* An interrupt may come before any instruction, and a cut block goes on inside. */
static bool may_stop_at(const gb_block *block, const gb_ending *ending, uint64_t address)
{
    return follows(block, ending, address) || instruction_at(block, address) >= 0;
}

/* While a kernel starts, its code is mapped where RAM has it and where it is linked to; QEMU may share one block. */
static bool is_linked_elsewhere(const gb_block *block, const gb_ending *ending, uint64_t start)
{
    uint64_t far = start - (block->address + block->bytes), farther = start - ending->target;
    const uint64_t large = 0x1fffff; /* the two differ by whole pages of 2 MiB */
    return block->ring == 0 && block->mode == 64 && block->address == block->offset &&
           (!(far & large) || !(farther & large));
}

typedef struct {
    bool anything;       /* whatever comes next is explained */
    uint64_t resumed;    /* where the block may go on after an instruction that ran alone; 0: not asked */
    unsigned kind;       /* of a finding, or 0 */
} explanation;

static bool opens_gate(unsigned opcode, unsigned gate)
{
    return opcode == (gate == GB_GATE_INT_80 ? 0xcd : gate == GB_GATE_SYSENTER ? 0x0f34 : 0x0f05);
}

static void explain(explanation *found, const gb_block *block, const gb_ending *ending, const uint32_t *event,
                    uint64_t moved)
{
    unsigned type = event_type(event), words = event_words_of(event);
    bool known = block != NULL;
    switch (type) {
    case GB_EVENT_EXCEPTION:
        if (known && !found->anything && !found->resumed && words >= 4 &&
            !may_stop_at(block, ending, get_64(event + 1) - moved)) {
            found->kind = GB_FOUND_EXCEPTION;
        }
        found->anything = true;
        break;
    case GB_EVENT_WINDOW_START:
    case GB_EVENT_WINDOW_STOP:
    case GB_EVENT_RESET:
    case GB_EVENT_GAP:
    case GB_EVENT_FILTER:
    case GB_EVENT_LEFT_OUT:
        found->anything = true;
        break;
    case GB_EVENT_IO_DONE: {
        int index = known && words >= 2 ? instruction_at(block, get_64(event + 1) - moved) : -1;
        if (index < 0) {
            found->kind = known ? GB_FOUND_IO : 0;
        } else {
            found->resumed = get_64(event + 1) + ((const uint8_t *)(block + 1))[index];
        }
        break;
    }
    case GB_EVENT_PAGE_TABLE:
        found->kind = known && ending->opcode != 0x0f22 ? GB_FOUND_PAGE_TABLE : found->kind;
        break;
    case GB_EVENT_SYSCALL:
        found->kind = known && !opens_gate(ending->opcode, *event & 0xffff) ? GB_FOUND_SYSCALL : found->kind;
        break;
    case GB_EVENT_SYSRET:
        found->kind = known && ending->opcode != 0x0f07 && ending->opcode != 0x0f35 ? GB_FOUND_SYSRET : found->kind;
        break;
    case GB_EVENT_BLOCK_END:
        found->kind = known && !(block->flags & GB_BLOCK_MARKED) ? GB_FOUND_END : found->kind;
        break;
    default:
        break;
    }
}

/* An SMI enters at offset 0x8000 of its segment in 16-bit mode; there is no event for it. */
static bool is_management_mode(const gb_block *block)
{
    return block->mode == 16 && (block->address & 0xffff) == 0x8000;
}

int64_t gb_check(const gb_records *records, const gb_ending *endings, const uint32_t *blocks, uint64_t count,
                 const uint64_t *address, uint32_t previous, uint64_t previous_address, const uint32_t *event_at,
                 const uint32_t *event_offset, uint64_t event_count, const uint32_t *event_words,
                 uint64_t event_word_count, gb_finding *findings, uint64_t capacity)
{
    event_walk walk = {event_at, event_offset, event_words, event_count, event_word_count, 0};
    const gb_block *before = record_of(records, previous);
    const gb_ending *ending = before ? endings + previous : NULL;
    /* How far the block before ran from where its record has it: subtracted from whatever is compared with it. */
    uint64_t moved = before ? previous_address - before->address : 0;
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; i++) {
        const gb_block *block = record_of(records, blocks[i]);
        if (!block) {
            return GB_ERROR_RANGE;
        }
        explanation why = {false, 0, 0};
        uint32_t type = 0;
        bool hole = false;
        if (walk.next < walk.count && walk.at[walk.next] <= i) {
            const uint32_t *event;
            while ((event = next_event(&walk, i))) {
                type = event_type(event);
                hole |= is_hole(event);
                explain(&why, hole ? NULL : before, ending, event, moved);
            }
        }
        if (!why.kind && before && !why.anything && !follows(before, ending, address[i] - moved)) {
            bool resumed = why.resumed && is_same(why.resumed, address[i], before->mode);
            /* Cut without an event: the next block starts at an instruction of this one. */
            if (!resumed && instruction_at(before, address[i] - moved) < 0 && !is_management_mode(block) &&
                !is_linked_elsewhere(before, ending, address[i])) {
                why.kind = GB_FOUND_JUMP;
            }
        }
        if (why.kind) {
            if (found < capacity) {
                findings[found] = (gb_finding){i, why.kind, type};
            }
            found++;
        }
        before = block;
        ending = endings + blocks[i];
        moved = address[i] - block->address;
    }
    return (int64_t)found;
}
