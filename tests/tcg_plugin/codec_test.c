/* Round trips, and thousands of random and damaged inputs: `codec_test ROUNDS`, under ASan and UBSan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

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
static void *room(size_t bytes)
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
    uint32_t *ids = room(count * 4), *out = room(count * 4);
    uint32_t successors[2 * LIMIT] = {0}, local[LIMIT] = {0}, order[LIMIT] = {0}, again[2 * LIMIT];
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = i && below(4) ? ids[below(i)] : 1 + below(LIMIT - 1);
    }
    gb_encoder state = {.successors = successors, .local = local, .order = order, .limit = LIMIT};
    uint64_t run_room = 10 * (uint64_t)(count + 2), run_bytes = 0, miss_count = 0;
    uint8_t *runs = room(run_room);
    uint32_t *misses = room(count * 4);
    uint32_t half = below(count + 1);
    CHECK(!gb_encode_blocks(&state, ids, half, runs, &run_bytes, run_room, misses, &miss_count, count));
    CHECK(!gb_encode_blocks(&state, ids + half, count - half, runs, &run_bytes, run_room, misses, &miss_count, count));
    CHECK(!gb_encode_end(&state, runs, &run_bytes, run_room));
    CHECK(!gb_decode_blocks(runs, run_bytes, misses, miss_count, again, state.local_count, out, count));
    for (uint32_t i = 0; i < count; i++) {
        CHECK(order[out[i]] == ids[i]);
    }
    damage(runs, run_bytes);
    damage((uint8_t *)misses, miss_count * 4);
    uint64_t cut = below((uint32_t)run_bytes + 1);
    uint8_t *shorter = room(cut);
    memcpy(shorter, runs, cut);
    if (!gb_decode_blocks(shorter, cut, misses, miss_count, again, state.local_count, out, count)) {
        for (uint32_t i = 0; i < count; i++) {
            CHECK(out[i] < state.local_count);
        }
    }
    free(ids), free(out), free(runs), free(misses), free(shorter);
}

static void test_words(void)
{
    uint32_t count = below(60), size = below(70);
    uint32_t *words = room(count * 4);
    for (uint32_t i = 0; i < count; i++) {
        words[i] = below(3) ? below(100) : (uint32_t)next() & ~(below(4) ? 0xf0u << 16 : 0);
    }
    gb_columns columns = {
        .ids = room(size * 4), .id_room = size, .event_words = room(size * 4), .event_word_room = size,
        .event_at = room(size * 4), .event_offset = room(size * 4), .event_room = size, .memory_at = room(size * 4),
        .memory_meta = room(size * 2), .memory_address = room(size * 8), .memory_room = size,
        .values = room(size * 4), .value_room = size,
    };
    int64_t result = gb_split(words, count, &columns);
    CHECK(result <= 0 && (!result || (!columns.id_count && !columns.event_count && !columns.value_count)));
    uint32_t *offset = room(size * 4);
    CHECK(gb_event_offsets(columns.event_words, columns.event_word_count, offset, size) == (int64_t)columns.event_count);
    gb_event_offsets(words, count, offset, size);
    free(columns.ids), free(columns.event_words), free(columns.event_at), free(columns.event_offset);
    free(columns.memory_at), free(columns.memory_meta), free(columns.memory_address), free(columns.values);
    free(words), free(offset);
}

static void test_numbers(void)
{
    uint32_t count = below(50), size = below(600);
    uint8_t *bytes = room(size);
    uint32_t *values = room(count * 4), *at = room(count * 4);
    uint16_t *meta = room(count * 2);
    uint64_t *address = room(count * 8);
    gb_site *sites = room(sizeof(gb_site) * GB_SITES);
    uint32_t blocks[8] = {1, 2, 3};
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = below(2) ? (uint8_t)next() : below(128);
    }
    for (uint32_t i = 0; i < count; i++) {
        at[i] = (uint32_t)next();
        meta[i] = (uint16_t)next();
    }
    uint32_t limit = below(1000);
    if (!gb_decode_ascending(bytes, size, values, count, limit)) {
        CHECK(!count || values[count - 1] <= limit);
    }
    gb_decode_addresses(sites, blocks, 8, at, meta, count, bytes, size, address);
    free(bytes), free(values), free(at), free(meta), free(address), free(sites);
}

/* Records, some damaged; what the index lets through must be safe for everything that uses it. */
static void test_records(void)
{
    enum { MOST = 12 };
    uint8_t *blob = room(MOST * 128);
    uint64_t size = 0, offset[MOST + 1];
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
    uint8_t *exact = room(size);
    memcpy(exact, blob, size);
    if (below(2)) {
        damage(exact, size);
    }
    int64_t found = gb_index_records(exact, size, 0, offset, MOST, 0, &largest);
    if (found > 0) {
        gb_records records = {exact, size, offset, (uint64_t)found};
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
        if (i % 50 == 0) {
            test_numbers(); /* clears a megabyte */
        }
    }
    return 0;
}
