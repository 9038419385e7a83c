/* See codec.h. */
#include "accesses.h"

/* --- rings ------------------------------------------------------------------------------------------------------ */

static unsigned value_words(unsigned meta)
{
    unsigned log2size = meta >> 9 & 7;
    return meta >> 12 & 1 ? (log2size <= 2 ? 1 : 1u << (log2size - 2)) : 0;
}

INLINE int64_t put_event(gb_columns *out, const uint32_t *words, uint64_t length)
{
    if (out->event_count >= out->event_room || out->event_word_room - out->event_word_count < length) {
        return GB_ERROR_ROOM;
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
        address = words[2] | (uint64_t)words[3] << 32;
        value = words + 4;
    }
    return encode_access(accesses, out->base + out->id_count, meta, address, value) ? (int64_t)length : GB_ERROR_ROOM;
}

/* The columns and the encoder are copied, so that what is hot of them lives in registers. */
int64_t gb_split(const uint32_t *words, uint64_t count, gb_columns *out, gb_access_encoder *accesses)
{
    gb_columns columns = *out;
    gb_access_encoder encoder = *accesses;
    if (!gb_has_room(accesses, count)) {
        return GB_ERROR_ROOM;
    }
    for (uint64_t i = 0; i < count;) {
        uint32_t word = words[i];
        if (!(word >> 31)) {
            if (columns.id_count >= columns.id_room) {
                return GB_ERROR_ROOM;
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
        if (encoder.is_open && encoder.changed == UNCHANGED) {
            i += encode_foretold(&encoder, words + i, count - i);
        }
    }
    *out = columns;
    *accesses = encoder;
    return 0;
}

int64_t gb_event_offsets(const uint32_t *words, uint64_t count, uint32_t *offset, uint64_t room)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < count;) {
        uint64_t length = 1 + (words[i] >> 16 & 0xff);
        if (GB_WORD_KIND(words[i]) != GB_KIND_EVENT || length > count - i) {
            return GB_ERROR_WORDS;
        }
        if (found >= room) {
            return GB_ERROR_ROOM;
        }
        offset[found++] = (uint32_t)i;
        i += length;
    }
    return (int64_t)found;
}

/* --- block streams ---------------------------------------------------------------------------------------------- */

static uint32_t local_number(gb_encoder *state, uint32_t id)
{
    if (!state->local[id]) {
        state->order[state->local_count++] = id;
        state->local[id] = (uint32_t)state->local_count;
    }
    return state->local[id] - 1;
}

int64_t gb_encode_blocks(gb_encoder *state, const uint32_t *ids, uint64_t count, uint8_t *runs, uint64_t *run_bytes,
                         uint64_t run_room, uint32_t *misses, uint64_t *miss_count, uint64_t miss_room)
{
    if (*run_bytes > run_room || (run_room - *run_bytes) / VARINT_MOST < count + 1 || *miss_count > miss_room ||
        miss_room - *miss_count < count) {
        return GB_ERROR_ROOM;
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

int64_t gb_encode_end(gb_encoder *state, uint8_t *runs, uint64_t *run_bytes, uint64_t run_room)
{
    if (*run_bytes > run_room || run_room - *run_bytes < VARINT_MOST) {
        return GB_ERROR_ROOM;
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

/* --- ascending numbers ---------------------------------------------------------------------------------------- */

int64_t gb_encode_ascending(uint32_t *previous, const uint32_t *values, uint64_t count, uint8_t *out, uint64_t room)
{
    uint8_t *end = out;
    if (room / VARINT_MOST < count) {
        return GB_ERROR_ROOM;
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

/* --- records of blocks ------------------------------------------------------------------------------------------ */

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
                         uint64_t room, uint32_t *largest)
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
            if ((uint64_t)found >= room) {
                return GB_ERROR_ROOM;
            }
            offset[found] = base + at;
            instructions[found++] = record.instructions;
        }
        at += record.size;
    }
    return found;
}

static const gb_block *record_of(const gb_records *records, uint32_t number)
{
    if (number >= records->count || records->offset[number] >= records->bytes) {
        return NULL;
    }
    return (const gb_block *)(records->blob + records->offset[number]);
}

/* Whether the record's address is only where the block was first seen (GB_EVENT_CODE_PAGE in trace_abi.h). */
static bool is_movable(const gb_block *record)
{
    return (record->ring == 3 || record->flags & GB_BLOCK_MOVABLE) && record->offset != GB_NO_OFFSET;
}

/* Index of the instruction of `record` that starts at `address`, or -1; by page offset where the page is not known. */
static int instruction_at(const gb_block *record, uint64_t address)
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

static uint64_t payload64(const uint32_t *payload)
{
    return payload[0] | (uint64_t)payload[1] << 32;
}

/* --- early ends ------------------------------------------------------------------------------------------------- */

/* Faults point at the instruction that could not be finished; traps and aborts behind a finished one, and interrupts
 * come between blocks. */
static bool is_fault(unsigned vector)
{
    return vector < 32 && vector != 1 && vector != 2 && vector != 3 && vector != 4 && vector != 9;
}

/* What one event says of the block before it: instructions begun, or -1 for nothing. */
static int cut_by(const gb_block *block, const uint32_t *event)
{
    unsigned type = event[0] >> 24 & 0x3f, words = event[0] >> 16 & 0xff;
    unsigned vector = event[0] & 0xffff;
    bool fault = type == GB_EVENT_EXCEPTION && words >= 4 && is_fault(vector);
    /* A fault of the fetch itself (bit 4 of a page fault's error code) began nothing. */
    if ((type == GB_EVENT_IO_DONE && words >= 2) || (fault && !(vector == 14 && event[3] & 16))) {
        int index = instruction_at(block, payload64(event + 1));
        return index < 0 ? -1 : index + 1;
    }
    return -1;
}

/* Behind such an event something ran that was not recorded: the next block says nothing of the one before. */
static bool is_hole(const uint32_t *event)
{
    unsigned type = event[0] >> 24 & 0x3f;
    return type == GB_EVENT_GAP || type == GB_EVENT_FILTER || type == GB_EVENT_LEFT_OUT;
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

typedef struct {
    const uint32_t *at, *offset, *words;
    uint64_t count, word_count, next;
} event_walk;

/* The next event at `position` or before it; NULL when there is none. Events that do not fit are passed over. */
static const uint32_t *next_event(event_walk *walk, uint64_t position)
{
    while (walk->next < walk->count && walk->at[walk->next] <= position) {
        uint64_t offset = walk->offset[walk->next++];
        if (offset < walk->word_count && (walk->words[offset] >> 16 & 0xff) < walk->word_count - offset) {
            return walk->words + offset;
        }
    }
    return NULL;
}

static unsigned instructions_of(const gb_records *records, uint32_t number)
{
    return number < records->count ? records->instructions[number] : 0;
}

/* Instructions begun in `block`, by the events behind it and the block `after` it (or NULL). */
static __attribute__((noinline)) unsigned begun_of(const gb_block *block, const gb_block *after, event_walk *walk, uint64_t position)
{
    int cut = -1;
    bool whole = false, hole = false;
    const uint32_t *event;
    while ((event = next_event(walk, position))) {
        hole |= is_hole(event);
        whole |= hole || (event[0] >> 24 & 0x3f) == GB_EVENT_BLOCK_END;
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

/* --- addresses --------------------------------------------------------------------------------------------------- */

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
                if ((event[0] >> 24 & 0x3f) == GB_EVENT_CODE_PAGE && (event[0] >> 16 & 0xff) >= 3) {
                    int64_t slot = find_page(pages, page_count, event[1]);
                    if (slot >= 0) {
                        homes[slot] = payload64(event + 2);
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

/* --- check ------------------------------------------------------------------------------------------------------ */

static bool is_prefix(uint8_t byte, unsigned mode)
{
    return byte == 0x66 || byte == 0x67 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e ||
           byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64 || byte == 0x65 ||
           (mode == 64 && (byte & 0xf0) == 0x40);
}

/* Signed little-endian number of `bytes` bytes that ends the instruction. */
static uint64_t relative(const uint8_t *end, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, end - bytes, bytes);
    unsigned shift = 32 - 8 * bytes;
    return (uint64_t)(int64_t)((int32_t)(value << shift) >> shift);
}

static void classify(gb_ending *ending, const uint8_t *code, unsigned length, unsigned mode, uint64_t behind)
{
    unsigned i = 0;
    bool repeated = false, narrow = mode == 16;
    while (i + 1 < length && is_prefix(code[i], mode)) {
        repeated |= code[i] == 0xf2 || code[i] == 0xf3;
        /* In 64-bit mode near branches keep 32-bit displacements with this prefix on Intel's and QEMU's processors. */
        narrow ^= code[i] == 0x66 && mode != 64;
        i++;
    }
    unsigned opcode = code[i], left = length - i - 1;
    unsigned wide = narrow ? 2 : 4;
    if (opcode == 0x0f && left) {
        opcode = 0x0f00 | code[++i];
        left--;
    }
    unsigned register_field = left ? code[i + 1] >> 3 & 7 : 0;
    ending->opcode = opcode;
    ending->flow = GB_FLOW_NEXT;
    ending->target = behind;
    if (((opcode & 0xf0) == 0x70 && opcode < 0x80) || (opcode >= 0xe0 && opcode <= 0xe3)) {
        ending->flow = GB_FLOW_BRANCH;
        ending->target = behind + (left >= 1 ? relative(code + length, 1) : 0);
    } else if ((opcode & 0xfff0) == 0x0f80) {
        ending->flow = GB_FLOW_BRANCH;
        ending->target = behind + (left >= wide ? relative(code + length, wide) : 0);
    } else if (opcode == 0xeb) {
        ending->flow = GB_FLOW_JUMP;
        ending->target = behind + (left >= 1 ? relative(code + length, 1) : 0);
    } else if (opcode == 0xe8 || opcode == 0xe9) {
        ending->flow = GB_FLOW_JUMP;
        ending->target = behind + (left >= wide ? relative(code + length, wide) : 0);
    } else if (opcode == 0xc2 || opcode == 0xc3 || (opcode >= 0xca && opcode <= 0xcf) || opcode == 0xf1 ||
               opcode == 0xea || opcode == 0x9a || (opcode == 0xff && register_field >= 2 && register_field <= 5) ||
               opcode == 0x0f05 || opcode == 0x0f07 || opcode == 0x0f34 || opcode == 0x0f35 || opcode == 0x0faa) {
        ending->flow = GB_FLOW_ANY;
    } else if (repeated && ((opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf) ||
                            (opcode >= 0x6c && opcode <= 0x6f))) {
        ending->flow = GB_FLOW_REPEAT;
    }
}

int64_t gb_endings(const gb_records *records, gb_ending *endings)
{
    for (uint64_t number = 0; number < records->count; number++) {
        const gb_block *record = record_of(records, (uint32_t)number);
        memset(endings + number, 0, sizeof *endings);
        endings[number].flow = GB_FLOW_ANY;
        if (record) {
            const uint8_t *lengths = (const uint8_t *)(record + 1), *code = lengths + record->instructions;
            unsigned last = lengths[record->instructions - 1];
            if (last) {
                classify(endings + number, code + record->bytes - last, last, record->mode,
                         record->address + record->bytes);
            }
        }
    }
    return 0;
}

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

static void explain(explanation *found, const gb_block *block, const gb_ending *ending, const uint32_t *event,
                    uint64_t moved)
{
    unsigned type = event[0] >> 24 & 0x3f, words = event[0] >> 16 & 0xff;
    bool known = block != NULL;
    switch (type) {
    case GB_EVENT_EXCEPTION:
        if (known && !found->anything && !found->resumed && words >= 4 &&
            !may_stop_at(block, ending, payload64(event + 1) - moved)) {
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
        int index = known && words >= 2 ? instruction_at(block, payload64(event + 1) - moved) : -1;
        if (index < 0) {
            found->kind = known ? GB_FOUND_IO : 0;
        } else {
            found->resumed = payload64(event + 1) + ((const uint8_t *)(block + 1))[index];
        }
        break;
    }
    case GB_EVENT_PAGE_TABLE:
        found->kind = known && ending->opcode != 0x0f22 ? GB_FOUND_PAGE_TABLE : found->kind;
        break;
    case GB_EVENT_SYSCALL:
        found->kind = known && ending->opcode != 0x0f05 ? GB_FOUND_SYSCALL : found->kind;
        break;
    case GB_EVENT_SYSRET:
        found->kind = known && ending->opcode != 0x0f07 ? GB_FOUND_SYSRET : found->kind;
        break;
    case GB_EVENT_BLOCK_END:
        found->kind = known && !(block->flags & GB_BLOCK_MARKED) ? GB_FOUND_END : found->kind;
        break;
    default:
        break;
    }
}

/* An SMI enters at offset 0x8000 of its segment in 16-bit mode; no event tells. */
static bool is_management_mode(const gb_block *block)
{
    return block->mode == 16 && (block->address & 0xffff) == 0x8000;
}

int64_t gb_check(const gb_records *records, const gb_ending *endings, const uint32_t *blocks, uint64_t count,
                 const uint64_t *address, uint32_t previous, uint64_t previous_address, const uint32_t *event_at,
                 const uint32_t *event_offset, uint64_t event_count, const uint32_t *event_words,
                 uint64_t event_word_count, gb_finding *findings, uint64_t room)
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
                type = event[0] >> 24 & 0x3f;
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
            if (found < room) {
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
