/* Round trips, and thousands of random and damaged inputs: `codec_test ROUNDS`, under ASan and UBSan. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "varint.h"
#include "check.h"

static uint64_t seed = 88172645463325252ull;

static uint64_t next(void) /* xorshift64, Marsaglia 2003 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint32_t below(uint32_t limit)
{
    return limit ? (uint32_t)(next() % limit) : 0;
}

/* Memory of exactly this size, so that one byte too far is seen. */
static void *allocate(size_t bytes)
{
    void *found = calloc(1, bytes ? bytes : 1);
    CHECK(found);
    return found;
}

static void damage(uint8_t *bytes, size_t size)
{
    for (uint32_t times = below(4); size && times; times--) {
        bytes[below((uint32_t)size)] = (uint8_t)next();
    }
}

static void test_blocks(void)
{
    enum { LIMIT = 64 };
    uint32_t count = below(500);
    uint32_t *ids = allocate(count * 4), *out = allocate(count * 4);
    uint32_t successors[2 * LIMIT] = {0}, local[LIMIT] = {0}, order[LIMIT] = {0}, again[2 * LIMIT];
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = i && below(4) ? ids[below(i)] : 1 + below(LIMIT - 1);
    }
    gb_encoder state = {.successors = successors, .local = local, .order = order, .limit = LIMIT};
    uint64_t run_capacity = 10 * (uint64_t)(count + 2), run_bytes = 0, miss_count = 0;
    uint8_t *runs = allocate(run_capacity);
    uint32_t *misses = allocate(count * 4);
    uint32_t half = below(count + 1);
    CHECK(!gb_encode_blocks(&state, ids, half, runs, &run_bytes, run_capacity, misses, &miss_count, count));
    CHECK(!gb_encode_blocks(&state, ids + half, count - half, runs, &run_bytes, run_capacity, misses, &miss_count, count));
    CHECK(!gb_encode_end(&state, runs, &run_bytes, run_capacity));
    CHECK(!gb_decode_blocks(runs, run_bytes, misses, miss_count, again, state.local_count, out, count));
    for (uint32_t i = 0; i < count; i++) {
        CHECK(order[out[i]] == ids[i]);
    }
    damage(runs, run_bytes);
    damage((uint8_t *)misses, miss_count * 4);
    uint64_t cut = below((uint32_t)run_bytes + 1);
    uint8_t *shorter = allocate(cut);
    memcpy(shorter, runs, cut);
    if (!gb_decode_blocks(shorter, cut, misses, miss_count, again, state.local_count, out, count)) {
        for (uint32_t i = 0; i < count; i++) {
            CHECK(out[i] < state.local_count);
        }
    }
    free(ids), free(out), free(runs), free(misses), free(shorter);
}

enum { LIMIT = 40 };

/* An encoder with exactly the capacity that `words` words may need. */
static gb_access_encoder new_encoder(uint64_t words)
{
    uint64_t bytes = 16 * words + 128, slots = 4 * words + 1024;
    return (gb_access_encoder){
        .model = {.shapes = allocate(LIMIT * sizeof(gb_shape)), .slots = allocate(slots * sizeof(gb_slot)), .slot_capacity = slots,
                  .content = allocate(8 << GB_CONTENT_BITS), .limit = LIMIT},
        .shapes = allocate(bytes), .shape_capacity = bytes, .metas = allocate(bytes / 2), .meta_capacity = bytes / 4,
        .addresses = allocate(bytes), .address_capacity = bytes, .value_runs = allocate(bytes), .value_run_capacity = bytes,
        .values = allocate(bytes), .value_capacity = bytes, .changed = ~0u,
    };
}

static void free_encoder(gb_access_encoder *state)
{
    free(state->model.shapes), free(state->model.slots), free(state->model.content), free(state->shapes);
    free(state->metas), free(state->addresses), free(state->value_runs), free(state->values);
}

static gb_columns new_columns(uint32_t size)
{
    return (gb_columns){
        .ids = allocate(size * 4), .id_capacity = size, .event_words = allocate(size * 4), .event_word_capacity = size,
        .event_at = allocate(size * 4), .event_offset = allocate(size * 4), .event_capacity = size,
    };
}

static void free_columns(gb_columns *columns)
{
    free(columns->ids), free(columns->event_words), free(columns->event_at), free(columns->event_offset);
}

static void test_words(void)
{
    uint32_t count = below(60), size = below(70);
    uint32_t *words = allocate(count * 4);
    for (uint32_t i = 0; i < count; i++) {
        words[i] = below(3) ? below(LIMIT) : (uint32_t)next() & ~(below(4) ? 0xf0u << 16 : 0);
    }
    gb_columns columns = new_columns(size);
    gb_access_encoder accesses = new_encoder(count);
    int64_t result = gb_split(words, count, &columns, &accesses);
    CHECK(result <= 0 && (!result || (!columns.id_count && !columns.event_count)));
    uint32_t *offset = allocate(size * 4);
    CHECK(gb_event_offsets(columns.event_words, columns.event_word_count, offset, size) == (int64_t)columns.event_count);
    gb_event_offsets(words, count, offset, size);
    free_columns(&columns), free_encoder(&accesses);
    free(words), free(offset);
}

typedef struct {
    uint32_t at;
    uint16_t meta;
    uint64_t address, value[2];
} access_made;

/* Words of blocks whose accesses mostly repeat, and what they are. */
static uint32_t make_accesses(uint32_t *words, uint32_t size, access_made *made, uint32_t *made_count)
{
    uint32_t count = 0, position = 0, block = 0;
    while (count + 8 < size) {
        if (!below(5)) {
            block = 1 + below(below(2) ? 4 : LIMIT - 1);
            words[count++] = block;
            position++;
            continue;
        }
        bool steady = below(8);
        unsigned log2size = steady ? block % 5 : below(5), valued = steady ? block / 5 % 2 : below(2);
        access_made *one = made + (*made_count)++;
        *one = (access_made){.at = position, .meta = (uint16_t)(valued << 12 | log2size << 9 | (steady ? 3 : below(512)))};
        one->address = below(6) ? 0x1000 + position * 8 : below(2) ? next() : 0xffff888000000000ull + below(64);
        uint64_t value = below(3) ? 7 : next();
        one->value[0] = !valued ? 0 : log2size < 3 ? value & ((1ull << (8u << log2size)) - 1) : value;
        one->value[1] = valued && log2size == 4 ? below(2) * next() : 0;
        uint32_t word = 2u << 30 | (uint32_t)one->meta << 16;
        unsigned value_words = !valued ? 0 : log2size < 3 ? 1 : 1u << (log2size - 2);
        if ((uint64_t)((int64_t)(one->address << 16) >> 16) == one->address) {
            words[count++] = word | (uint32_t)(one->address >> 32 & 0xffff);
            words[count++] = (uint32_t)one->address;
        } else {
            words[count++] = 3u << 30 | GB_EVENT_MEM_WIDE << 24 | (3 + value_words) << 16;
            words[count++] = word;
            memcpy(words + count, &one->address, 8);
            count += 2;
        }
        memcpy(words + count, one->value, value_words * 4);
        count += value_words;
    }
    return count;
}

static int64_t decode_accesses(const gb_access_encoder *in, uint64_t cut, const gb_columns *columns, access_made *out,
                               uint64_t count)
{
    /* A block's number is its id here; the last block is told as the one that follows, as when a frame ends inside it. */
    uint64_t slots = 4 * in->meta_count, blocks = columns->id_count ? columns->id_count - 1 : 0;
    gb_access_predictor model = {.shapes = allocate((LIMIT + 1) * sizeof(gb_shape)), .slots = allocate(slots * sizeof(gb_slot)),
                          .slot_capacity = slots, .content = allocate(8 << GB_CONTENT_BITS), .limit = LIMIT + 1};
    uint64_t sizes[5] = {in->shape_bytes, in->meta_count * 2, in->address_bytes, in->value_run_bytes, in->value_bytes};
    const void *streams[5] = {in->shapes, in->metas, in->addresses, in->value_runs, in->values};
    void *copies[5];
    for (unsigned i = 0; i < 5; i++) {
        sizes[i] = i == cut ? below((uint32_t)sizes[i] / 2 + 1) * 2ull : sizes[i];
        copies[i] = allocate(sizes[i]);
        memcpy(copies[i], streams[i], sizes[i]);
    }
    gb_access_streams coded = {copies[0], sizes[0], copies[1], sizes[1] / 2, copies[2], sizes[2], copies[3], sizes[3],
                               copies[4], sizes[4]};
    uint32_t *at = allocate(count * 4), following = columns->id_count ? columns->ids[blocks] : ~0u;
    uint16_t *meta = allocate(count * 2);
    uint64_t *address = allocate(count * 8), *value = allocate(count * 16);
    int64_t result =
        gb_decode_accesses(&model, &coded, columns->ids, blocks, following, count, at, meta, address, value);
    for (uint64_t i = 0; i < count && out; i++) {
        out[i] = (access_made){at[i], meta[i], address[i], {value[2 * i], value[2 * i + 1]}};
    }
    for (unsigned i = 0; i < 5; i++) {
        free(copies[i]);
    }
    free(model.shapes), free(model.slots), free(model.content);
    free(at), free(meta), free(address), free(value);
    return result;
}

static void test_accesses(void)
{
    enum { WORDS = 3000 };
    static uint32_t words[WORDS];
    static access_made made[WORDS], back[WORDS];
    uint32_t made_count = 0, size = below(8) ? below(200) : WORDS;
    uint32_t count = make_accesses(words, size, made, &made_count);
    gb_columns columns = new_columns(count);
    gb_access_encoder state = new_encoder(2 * count);
    for (uint32_t done = 0; done < count;) {
        /* Cut between records only: a chunk holds whole ones. */
        uint32_t end = done;
        for (uint32_t records = 1 + below(40); records && end < count; records--) {
            uint32_t word = words[end];
            unsigned log2size = word >> 25 & 7, valued = word >> 28 & 1;
            end += word >> 30 == 3 ? 1 + (word >> 16 & 0xff)
                   : word >> 31 ? 2 + (!valued ? 0 : log2size < 3 ? 1 : 1u << (log2size - 2)) : 1;
        }
        CHECK(!gb_split(words + done, end - done, &columns, &state));
        done = end;
    }
    CHECK(state.count == made_count && !gb_end_accesses(&state));
    if (made_count) {
        CHECK(!decode_accesses(&state, 5, &columns, back, made_count));
        for (uint32_t i = 0; i < made_count; i++) {
            CHECK(back[i].at == made[i].at && back[i].meta == made[i].meta && back[i].address == made[i].address);
            CHECK(back[i].value[0] == made[i].value[0] && back[i].value[1] == made[i].value[1]);
        }
        CHECK(decode_accesses(&state, 5, &columns, NULL, made_count - 1));
        damage(state.shapes, state.shape_bytes);
        damage((uint8_t *)state.metas, state.meta_count * 2);
        damage(state.addresses, state.address_bytes);
        damage(state.value_runs, state.value_run_bytes);
        decode_accesses(&state, below(6), &columns, NULL, made_count);
    }
    free_columns(&columns), free_encoder(&state);
}

static void test_varints(void)
{
    uint64_t value = next() >> below(64), back;
    uint8_t plain[VARINT_MOST], *at_once = allocate(VARINT_MOST + 8);
    size_t size = (size_t)(put_varint(plain, value) - plain);
    CHECK(put_varint_at_once(at_once, value) == at_once + size && !memcmp(plain, at_once, size));
    CHECK(get_varint(at_once, at_once + size, &back) == at_once + size && back == value);
    free(at_once);
}

static void test_numbers(void)
{
    uint32_t count = below(50), size = below(600);
    uint8_t *bytes = allocate(size);
    uint32_t *values = allocate(count * 4);
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = below(2) ? (uint8_t)next() : below(128);
    }
    uint32_t limit = below(1000);
    if (!gb_decode_ascending(bytes, size, values, count, limit)) {
        CHECK(!count || values[count - 1] <= limit);
    }
    free(bytes), free(values);
}

/* Records, some damaged; what the index lets through must be safe for everything that uses it. */
static void test_records(void)
{
    enum { MOST = 12 };
    uint8_t *blob = allocate(MOST * 128);
    uint64_t size = 0, offset[MOST + 1];
    uint16_t instructions[MOST + 1];
    uint32_t largest = 0, blocks[64], slots[MOST + 1], pages[2] = {3, 4};
    uint64_t homes[2] = {UINT64_MAX, 9}, address[64];
    for (uint32_t i = 0; i < MOST; i++) {
        gb_block record = {.id = i + 1, .address = 0x1000 + below(64), .instructions = (uint16_t)(1 + below(5))};
        record.ring = below(2) ? 3 : 0;
        record.offset = below(2) ? 0x3000 + below(0x2000) : GB_NO_OFFSET;
        record.mode = below(2) ? 64 : 16;
        uint8_t tail[88] = {0};
        for (uint32_t k = 0; k < record.instructions; k++) {
            record.bytes = (uint16_t)(record.bytes + (tail[k] = (uint8_t)(1 + below(7))));
        }
        for (uint32_t k = 0; k < record.bytes; k++) {
            tail[record.instructions + k] = (uint8_t)next();
        }
        record.size = (uint32_t)(sizeof record + record.instructions + record.bytes + 7) / 8 * 8;
        memcpy(blob + size, &record, sizeof record);
        memcpy(blob + size + sizeof record, tail, record.size - sizeof record);
        size += record.size;
    }
    uint8_t *exact = allocate(size);
    memcpy(exact, blob, size);
    if (below(2)) {
        damage(exact, size);
    }
    int64_t found = gb_index_records(exact, size, 0, offset, instructions, MOST, &largest);
    if (found > 0) {
        gb_records records = {exact, size, offset, instructions, (uint64_t)found};
        gb_ending endings[MOST];
        uint32_t words[40], event_at[8], event_offset[8];
        uint16_t begun[64];
        gb_finding findings[5];
        for (uint32_t i = 0; i < 40; i++) {
            words[i] = below(2) ? (uint32_t)next() : 0x1000 + below(80);
        }
        for (uint32_t i = 0; i < 8; i++) {
            event_at[i] = i * 8 + below(3);
            event_offset[i] = below(44);
        }
        for (uint32_t i = 0; i < 64; i++) {
            blocks[i] = below((uint32_t)found + (below(200) == 0));
        }
        for (uint32_t i = 0; i <= MOST; i++) {
            slots[i] = below(4) - 1;
        }
        CHECK(!gb_endings(&records, endings));
        gb_begun(&records, blocks, 64, below(20), event_at, event_offset, 8, words, 40, 0, begun);
        int64_t bad = gb_addresses(&records, slots, pages, homes, 2, blocks, 64, event_at, event_offset, 8, words, 40,
                                   address);
        if (!bad) {
            gb_check(&records, endings, blocks, 64, address, (uint32_t)found - 1, 0, event_at, event_offset, 8, words,
                     40, findings, 5);
        }
    }
    free(blob), free(exact);
}

int main(int count, char **arguments)
{
    long rounds = count > 1 ? atol(arguments[1]) : 1000;
    for (long i = 0; i < rounds; i++) {
        test_blocks();
        test_words();
        test_records();
        test_numbers();
        test_varints();
        if (i % 20 == 0) {
            test_accesses(); /* clears two megabytes */
        }
    }
    return 0;
}
