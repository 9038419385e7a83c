/* Unit tests of ring.c, with a consumer of our own; run under the sanitizers. Prints the name of each test that passed. */
#include "ring.h"
#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1024, WORDS = (CHUNK - 64) / 4 };

static gb_ring ring;
static gb_vcpu shared;
static uint8_t *chunks;
static uint32_t *scratch;
static unsigned chunk_count;
static bool patient;

static bool keep_waiting(gb_ring *unused)
{
    (void)unused;
    return patient;
}

static void start(unsigned count, bool lossless)
{
    free(chunks), free(scratch);
    memset(&shared, 0, sizeof shared);
    chunk_count = count;
    chunks = aligned_alloc(64, (size_t)count * CHUNK);
    scratch = malloc(CHUNK);
    /* Exactly as large as they must be, so that the sanitizer sees every word too many. */
    gb_ring_open(&ring, &shared, chunks, scratch, CHUNK, count, 3, 7, lossless ? keep_waiting : NULL);
}

static const gb_chunk *next_chunk(void)
{
    uint64_t head = __atomic_load_n(&shared.head, __ATOMIC_ACQUIRE);
    return shared.tail < head ? (const gb_chunk *)(chunks + shared.tail % chunk_count * CHUNK) : NULL;
}

static void free_chunk(void)
{
    __atomic_store_n(&shared.tail, shared.tail + 1, __ATOMIC_RELEASE);
}

static uint32_t word_of(const gb_chunk *chunk, unsigned index)
{
    return ((const uint32_t *)(chunk + 1))[index];
}

static void test_words_come_out_in_order(void)
{
    start(4, true);
    uint32_t written = 0, read = 0, sequence = 0;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < round % 150; i++) {
            gb_ring_put(&ring, written++);
        }
        if (round % 10 == 0) {
            gb_ring_flush(&ring);
        }
        for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
            CHECK(chunk->sequence == sequence++ && chunk->vcpu == 3 && chunk->window == 7 && chunk->words <= WORDS);
            CHECK(!!(chunk->flags & GB_CHUNK_FIRST) == (chunk->sequence == 0));
            for (unsigned i = 0; i < chunk->words; i++) {
                CHECK(word_of(chunk, i) == read++);
            }
        }
    }
    uint32_t last = 0xabcdef;
    gb_ring_close(&ring, &last, 1);
    const gb_chunk *chunk = NULL;
    for (const gb_chunk *each; (each = next_chunk()); free_chunk()) {
        chunk = each;
    }
    CHECK(chunk && chunk->flags & GB_CHUNK_LAST && word_of(chunk, chunk->words - 1) == last);
    CHECK(shared.lost_words == 0 && shared.waits == 0);
}

static void test_the_largest_event_always_fits(void)
{
    uint32_t payload[GB_SLACK - 1] = {0};
    for (unsigned before = 0; before < 2 * WORDS; before++) {
        start(4, false);
        for (unsigned i = 0; i < before; i++) {
            gb_ring_put(&ring, i);
        }
        gb_ring_event(&ring, GB_EVENT_REGISTERS, 0, payload, GB_SLACK - 1);
        gb_ring_close(&ring, NULL, 0);
        uint64_t words = 0;
        for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
            words += chunk->words;
        }
        CHECK(words == before + GB_SLACK && shared.lost_words == 0);
    }
}

static void test_a_lossy_ring_loses_whole_stretches_and_counts_them(void)
{
    start(2, false);
    uint64_t written = 0, read = 0, gaps = 0, in_headers = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 1000; i++) {
            gb_ring_put(&ring, (uint32_t)written++);
        }
        for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
            unsigned at = 0;
            in_headers += chunk->lost_words;
            if (word_of(chunk, 0) >> 30 == GB_KIND_EVENT) {
                CHECK(word_of(chunk, 0) == GB_EVENT_WORD(GB_EVENT_GAP, 10, 0));
                gaps += word_of(chunk, 1);
                read += word_of(chunk, 1);
                at = 11;
            }
            for (; at < chunk->words; at++) {
                CHECK(word_of(chunk, at) == (uint32_t)read++);
            }
        }
    }
    gb_ring_close(&ring, NULL, 0);
    CHECK(gaps > 0 && gaps == in_headers && shared.waits == 0);
    for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
        gaps += chunk->lost_words;
        read += chunk->words - (chunk->lost_words ? 11 : 0) + chunk->lost_words;
    }
    CHECK(read + (shared.lost_words - gaps) == written);
}

static uint64_t begun;

static uint64_t count_begun(unsigned vcpu)
{
    CHECK(vcpu == 3);
    return begun;
}

static uint64_t number_of(const gb_chunk *chunk, unsigned index)
{
    return word_of(chunk, index) | (uint64_t)word_of(chunk, index + 1) << 32;
}

/* Block n begins at counter 3 n and has events in its middle. Returns how many gaps came. */
static unsigned read_blocks(uint32_t *last)
{
    unsigned gaps = 0;
    for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
        for (unsigned at = 0; at < chunk->words; at++) {
            uint32_t word = word_of(chunk, at);
            if (word >> 30 != GB_KIND_EVENT) {
                CHECK(word == ++*last);
                continue;
            }
            if ((word >> 24 & 0x3f) == GB_EVENT_GAP) {
                uint64_t from = number_of(chunk, at + 5), lost = number_of(chunk, at + 7), now = number_of(chunk, at + 9);
                CHECK(from == 3 * ((uint64_t)*last + 1) && lost == now - from && now % 3 == 0);
                CHECK(at + 11 < chunk->words && word_of(chunk, at + 11) == now / 3);
                *last = (uint32_t)(now / 3) - 1;
                gaps++;
            }
            at += word >> 16 & 0xff;
        }
    }
    return gaps;
}

static void test_a_gap_holds_whole_blocks_and_says_how_many_instructions(void)
{
    unsigned gaps = 0;
    uint32_t payload[8] = {0}, last = 0, id = 0;
    start(2, false);
    ring.count = count_begun;
    srand(1);
    for (int round = 0; round < 3000; round++) {
        for (int i = rand() % 200; i > 0; i--) {
            begun = 3 * (uint64_t)++id;
            gb_ring_put(&ring, id);
            for (int event = rand() % 3; event > 0; event--) {
                begun++;
                gb_ring_event(&ring, GB_EVENT_SYSCALL, 0, payload, (unsigned)rand() % 9);
            }
        }
        if (rand() % 3 == 0) {
            gaps += read_blocks(&last);
        }
    }
    begun = 3 * ((uint64_t)id + 1);
    gaps += read_blocks(&last);
    uint32_t words[2] = {GB_EVENT_WORD(GB_EVENT_WINDOW_STOP, 1, 0)};
    gb_ring_close(&ring, words, 2);
    const gb_chunk *chunk = next_chunk();
    CHECK(gaps > 100 && chunk && chunk->flags & GB_CHUNK_LAST);
    CHECK(shared.lost_chunks >= gaps && shared.waits == 0);
}

static void test_a_wait_ends_when_patience_does(void)
{
    start(2, true);
    patient = false;
    for (unsigned i = 0; i < 10 * WORDS; i++) {
        gb_ring_put(&ring, i);
    }
    CHECK(shared.waits >= 1 && shared.wait_ns >= GB_PATIENCE_NS && shared.lost_words > 0);
}

/* Nobody reads until the end: what is lost and the last words are in the event stream all the same. */
static void test_a_full_ring_still_tells_of_its_end(void)
{
    const uint32_t stop[5] = {GB_EVENT_WORD(GB_EVENT_WINDOW_STOP, 4, 0), 1, 2, 3, 4};
    patient = false;
    for (unsigned count = 2; count < 5; count++) {
        for (unsigned written = 0; written < 6 * WORDS; written += written < 5 * WORDS ? 7 : 1) {
            start(count, false);
            for (unsigned i = 0; i < written; i++) {
                gb_ring_put(&ring, i);
            }
            gb_ring_close(&ring, stop, 5);
            CHECK(shared.head <= count);
            uint64_t told = 0, words = 0;
            const gb_chunk *last = NULL;
            for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
                last = chunk;
                words += chunk->words - (chunk->lost_words ? 11 : 0);
                told += chunk->lost_words;
                CHECK(!chunk->lost_words || word_of(chunk, 1) == chunk->lost_words);
            }
            CHECK(last && last->flags & GB_CHUNK_LAST && last->words >= 5);
            CHECK(memcmp((const uint32_t *)(last + 1) + last->words - 5, stop, sizeof stop) == 0);
            CHECK(told == shared.lost_words && words + told == written + 5);
        }
    }
}

static void test_unwanted_words_leave_no_trace(void)
{
    start(4, false);
    gb_ring_put(&ring, 1);
    uint32_t told = ring.reader_epoch;
    gb_ring_set_off(&ring, true);
    for (unsigned i = 0; i < 10 * WORDS; i++) {
        gb_ring_put(&ring, 99);
    }
    gb_ring_flush(&ring);
    gb_ring_set_off(&ring, false);
    CHECK(ring.reader_epoch != told);
    gb_ring_put(&ring, 2);
    gb_ring_close(&ring, NULL, 0);
    uint32_t expected = 1;
    for (const gb_chunk *chunk; (chunk = next_chunk()); free_chunk()) {
        for (unsigned i = 0; i < chunk->words; i++) {
            CHECK(word_of(chunk, i) == expected++);
        }
    }
    CHECK(expected == 3 && shared.lost_words == 0);
}

static void *consume(void *total)
{
    for (uint64_t read = 0; read < *(uint64_t *)total;) {
        const gb_chunk *chunk = next_chunk();
        if (!chunk) {
            usleep(10);
            continue;
        }
        for (unsigned i = 0; i < chunk->words; i++) {
            CHECK(word_of(chunk, i) == (uint32_t)(read++ & 0x7fffffff));
        }
        free_chunk();
    }
    return NULL;
}

static void test_a_thread_that_reads_gets_everything(void)
{
    uint64_t total = 3000000;
    pthread_t reader;
    start(2, true);
    patient = true;
    CHECK(pthread_create(&reader, NULL, consume, &total) == 0);
    for (uint64_t i = 0; i < total; i++) {
        gb_ring_put(&ring, (uint32_t)(i & 0x7fffffff));
    }
    gb_ring_close(&ring, NULL, 0);
    pthread_join(reader, NULL);
    CHECK(shared.lost_words == 0);
}

static void test_dictionary_records_are_whole_and_in_order(void)
{
    enum { SIZE = 4096 };
    static gb_dictionary header;
    uint8_t *bytes = aligned_alloc(8, SIZE), *space = aligned_alloc(8, 1024);
    uint32_t put = 0, got = 0;
    for (int round = 0; round < 20000; round++) {
        gb_block *block = (gb_block *)space;
        memset(space, round, 1024);
        block->size = 40 + (unsigned)(round * 7919 % 120) * 8;
        block->id = put + 1;
        put += gb_dictionary_put(&header, bytes, SIZE, block);
        while (round % 3 == 0 && header.tail < header.head) {
            const gb_block *found = (const gb_block *)(bytes + header.tail % SIZE);
            CHECK(header.tail % SIZE + found->size <= SIZE && found->size >= 8);
            CHECK(found->id == 0 || found->id == ++got);
            header.tail += found->size;
        }
    }
    CHECK(got > 10000);
    free(bytes), free(space);
}

int main(void)
{
#define RUN(test) test(), puts(#test)
    RUN(test_words_come_out_in_order);
    RUN(test_the_largest_event_always_fits);
    RUN(test_a_lossy_ring_loses_whole_stretches_and_counts_them);
    RUN(test_a_gap_holds_whole_blocks_and_says_how_many_instructions);
    RUN(test_a_wait_ends_when_patience_does);
    RUN(test_a_full_ring_still_tells_of_its_end);
    RUN(test_unwanted_words_leave_no_trace);
    RUN(test_a_thread_that_reads_gets_everything);
    RUN(test_dictionary_records_are_whole_and_in_order);
    free(chunks), free(scratch);
    return 0;
}
