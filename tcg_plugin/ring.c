/* See ring.h. */
#include "ring.h"

#include <string.h>
#include <time.h>

#include "words.h"

enum { WAIT_STEP_NS = 50000, LINE_BYTES = 64, STRETCH_BYTES = 1024 };

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t gb_time_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

static uint32_t chunk_words(const gb_ring *ring)
{
    return (ring->chunk_bytes - (uint32_t)sizeof(gb_chunk)) / 4;
}

static uint32_t *begin(const gb_ring *ring)
{
    return ring->state == GB_OWNED ? (uint32_t *)(ring->chunk + 1) : ring->scratch;
}

static uint32_t *end(const gb_ring *ring)
{
    return begin(ring) + chunk_words(ring) - GB_SLACK;
}

/*
 * The bounds check comes once every STRETCH_BYTES, and then the lines of the next stretch are asked for: the reader has
 * them, and a store that must wait for its line costs the vCPU as much as twenty others.
 */
static void extend_limit(gb_ring *ring)
{
    uint32_t *last = end(ring), *limit = ring->cursor + STRETCH_BYTES / 4;
    ring->limit = limit < last ? limit : last;
    const char *ahead = (const char *)ring->limit, *stop = (const char *)last;
    for (unsigned i = 0; i < STRETCH_BYTES && ahead + i < stop; i += LINE_BYTES) {
        /* Not __builtin_prefetch, which asks for a copy to read where the compiler may not assume this instruction. */
        __asm__ volatile("prefetchw %0" : : "m"(ahead[i]));
    }
}

static void park(gb_ring *ring)
{
    ring->state = GB_PARKED;
    ring->chunk = NULL;
    ring->cursor = ring->scratch;
    ring->limit = ring->scratch + 1;
}

void gb_ring_open(gb_ring *ring, gb_vcpu *shared, void *chunks_base, uint32_t *scratch, uint32_t chunk_bytes,
                  uint32_t chunks, uint32_t vcpu, uint32_t window, gb_keep_waiting *keep_waiting)
{
    *ring = (gb_ring){
        .page_epochs = ring->page_epochs,
        .pages = ring->pages,
        .epoch = ring->epoch + 1,
        .reader_epoch = ring->reader_epoch + 1,
        .shared = shared,
        .chunks_base = chunks_base,
        .scratch = scratch,
        .chunk_bytes = chunk_bytes,
        .chunks = chunks,
        .reserve = 1,
        .vcpu = vcpu,
        .window = window,
        .keep_waiting = keep_waiting,
    };
    park(ring);
}

static void publish(gb_ring *ring, uint32_t flags)
{
    gb_chunk *chunk = ring->chunk;
    if (ring->publishing) {
        ring->publishing(ring);
    }
    chunk->words = (uint32_t)(ring->cursor - begin(ring));
    chunk->flags |= flags;
    chunk->instructions = ring->instructions;
    ring->shared->instructions = ring->instructions;
    uint64_t head = ring->shared->head + 1;
    park(ring);
    __atomic_store_n(&ring->shared->head, head, __ATOMIC_RELEASE);
}

bool gb_ring_has_free_chunk(const gb_ring *ring)
{
    uint64_t tail = __atomic_load_n(&ring->shared->tail, __ATOMIC_ACQUIRE);
    return ring->shared->head - tail + ring->reserve < ring->chunks;
}

static bool wait_for_free_chunk(gb_ring *ring)
{
    uint64_t started = clock_ns(CLOCK_MONOTONIC), asked = started;
    bool is_free;
    ring->shared->waits++;
    while (!(is_free = gb_ring_has_free_chunk(ring))) {
        nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_NS}, NULL);
        uint64_t now = clock_ns(CLOCK_MONOTONIC);
        if (now - asked >= GB_PATIENCE_NS) {
            asked = now;
            if (!ring->keep_waiting(ring)) {
                is_free = gb_ring_has_free_chunk(ring);
                break;
            }
        }
    }
    ring->shared->wait_ns += clock_ns(CLOCK_MONOTONIC) - started;
    return is_free;
}

/* Events CODE_PAGE may not have reached the reader: each page is announced again. */
static void forget_announced(gb_ring *ring)
{
    ring->epoch++;
    ring->reader_epoch++;
}

static uint64_t count(const gb_ring *ring)
{
    return ring->count ? ring->count(ring->vcpu) : 0;
}

/* Take the next chunk, which is free; what was carried stays in scratch memory until it is copied. */
static void acquire_chunk(gb_ring *ring)
{
    uint8_t *place = ring->chunks_base + ring->shared->head % ring->chunks * ring->chunk_bytes;
    ring->chunk = (gb_chunk *)place;
    *ring->chunk = (gb_chunk){
        .sequence = ring->sequence,
        .time_ns = gb_time_ns(),
        .flags = ring->sequence == 0 ? GB_CHUNK_FIRST : 0,
        .lost_chunks = ring->lost_chunks,
        .lost_words = ring->lost_words,
        .root = ring->root,
        .vcpu = ring->vcpu,
        .window = ring->window,
    };
    ring->sequence++;
    ring->state = GB_OWNED;
    ring->cursor = begin(ring);
    extend_limit(ring);
    if (ring->lost_words) {
        uint64_t now = count(ring);
        *ring->cursor++ = GB_EVENT_WORD(GB_EVENT_GAP, 10, 0);
        put_64(ring->cursor, ring->lost_words);
        put_64(ring->cursor + 2, ring->lost_chunks);
        put_64(ring->cursor + 4, ring->lost_from);
        put_64(ring->cursor + 6, ring->lost_instructions + now - ring->lost_since);
        put_64(ring->cursor + 8, now);
        ring->cursor += 10;
        forget_announced(ring);
        ring->lost_words = ring->lost_chunks = ring->lost_instructions = 0;
    }
}

static void count_words(gb_ring *ring)
{
    uint64_t words = (uint64_t)(ring->cursor - ring->scratch);
    ring->lost_words += words;
    ring->shared->lost_words += words;
    ring->cursor = ring->scratch;
}

static void count_loss(gb_ring *ring)
{
    count_words(ring);
    ring->lost_chunks++;
    ring->shared->lost_chunks++;
}

/* From the block on that begins now, words are lost. */
static void begin_loss(gb_ring *ring)
{
    ring->lost_from = ring->lost_since = count(ring);
    ring->lost_instructions = 0;
    ring->state = GB_LOSING;
    ring->limit = ring->scratch + chunk_words(ring) - GB_SLACK;
}

/* Be called for each word until a block begins; a block of user code writes CODE_PAGE first. */
static void await_block(gb_ring *ring, gb_ring_state state)
{
    ring->state = state;
    ring->limit = ring->scratch + 1;
    ring->epoch++;
}

static void append(gb_ring *ring, const uint32_t *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        *ring->cursor++ = words[i];
    }
}

void gb_ring_at_block(gb_ring *ring)
{
    if (ring->off) {
        return;
    }
    if (ring->state == GB_ENDING) {
        begin_loss(ring);
    } else if (ring->state == GB_RESUMING) {
        acquire_chunk(ring);
    }
}

static void advance_parked(gb_ring *ring, bool begins)
{
    if (gb_ring_has_free_chunk(ring) || (ring->keep_waiting && wait_for_free_chunk(ring))) {
        uint32_t carried = (uint32_t)(ring->cursor - ring->scratch);
        acquire_chunk(ring);
        append(ring, ring->scratch, carried);
    } else if (begins) {
        begin_loss(ring);
    } else {
        count_words(ring);
        await_block(ring, GB_ENDING);
    }
}

void gb_ring_advance(gb_ring *ring, bool begins)
{
    if (ring->off) {
        ring->cursor = ring->scratch;
        return;
    }
    switch (ring->state) {
    case GB_OWNED:
        if (ring->cursor < end(ring)) {
            extend_limit(ring);
            break;
        }
        /* Parked and empty: the next word decides when a chunk is needed, and waits for it then. */
        publish(ring, 0);
        break;
    case GB_PARKED:
        advance_parked(ring, begins);
        break;
    case GB_LOSING:
        count_loss(ring);
        if (gb_ring_has_free_chunk(ring)) {
            await_block(ring, GB_RESUMING);
        }
        break;
    case GB_ENDING:
    case GB_RESUMING:
        if (begins) {
            uint32_t id = *--ring->cursor;
            gb_ring_at_block(ring);
            *ring->cursor++ = id;
        } else {
            count_words(ring);
        }
    }
}

void gb_ring_set_off(gb_ring *ring, bool off)
{
    if (off == ring->off) {
        return;
    }
    ring->off = off;
    if (off) {
        /* A parked ring's few words must not be overwritten by unwanted ones. */
        if (ring->state == GB_PARKED && ring->cursor > ring->scratch) {
            ring->off = false;
            gb_ring_advance(ring, false);
            ring->off = true;
        }
        if (ring->state == GB_ENDING) {
            begin_loss(ring);
        }
        if (ring->state == GB_LOSING) {
            count_loss(ring);
        }
        ring->lost_instructions += count(ring) - ring->lost_since;
        ring->held_cursor = ring->cursor;
        ring->held_limit = ring->limit;
        ring->cursor = ring->scratch;
        ring->limit = ring->scratch + chunk_words(ring) - GB_SLACK;
    } else {
        ring->cursor = ring->held_cursor;
        ring->limit = ring->held_limit;
        ring->lost_since = count(ring);
        forget_announced(ring);
    }
}

void gb_ring_flush(gb_ring *ring)
{
    bool off = ring->off;
    gb_ring_set_off(ring, false);
    if (ring->state == GB_OWNED && ring->cursor > begin(ring)) {
        publish(ring, GB_CHUNK_PARTIAL);
    }
    gb_ring_set_off(ring, off);
}

/* The window ends: the chunk held back for this takes what was lost and what is in scratch memory. */
static void flush_for_close(gb_ring *ring)
{
    ring->keep_waiting = NULL;
    ring->reserve = 0;
    if (ring->state == GB_PARKED) {
        advance_parked(ring, true);
    } else if (ring->state == GB_ENDING) {
        begin_loss(ring);
    }
    if (ring->state == GB_LOSING && ring->cursor > ring->scratch) {
        count_loss(ring);
    }
    if (ring->state != GB_OWNED && gb_ring_has_free_chunk(ring)) {
        acquire_chunk(ring);
    }
}

void gb_ring_close(gb_ring *ring, const uint32_t *words, unsigned count)
{
    gb_ring_set_off(ring, false);
    if (ring->state == GB_PARKED && ring->cursor == ring->scratch && !count) {
        return;
    }
    if (ring->state != GB_OWNED) {
        flush_for_close(ring);
    }
    append(ring, words, count);
    if (ring->state == GB_OWNED) {
        publish(ring, GB_CHUNK_LAST | GB_CHUNK_PARTIAL);
    } else {
        count_loss(ring);
    }
}

void gb_ring_event(gb_ring *ring, unsigned type, unsigned small, const uint32_t *payload, unsigned words)
{
    *ring->cursor++ = GB_EVENT_WORD(type, words, small);
    append(ring, payload, words);
    gb_ring_check(ring);
}

bool gb_dictionary_put(gb_dictionary *shared, uint8_t *bytes, uint64_t size, const gb_block *record)
{
    uint64_t head = shared->head;
    uint64_t place = head & (size - 1), rest = size - place;
    uint64_t wanted = record->size + (rest < record->size ? rest : 0);
    uint64_t tail = __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE);
    if (head + wanted - tail > size) {
        return false;
    }
    if (rest < record->size) {
        uint32_t filler[2] = {(uint32_t)rest, 0};
        memcpy(bytes + place, filler, sizeof filler);
        place = 0;
    }
    memcpy(bytes + place, record, record->size);
    __atomic_store_n(&shared->head, head + wanted, __ATOMIC_RELEASE);
    return true;
}
