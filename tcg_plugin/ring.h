/*
 * The producer's side of one vCPU's ring of chunks. No QEMU in here: tests/tcg_plugin compiles it alone.
 *
 * The writer stores at `cursor`, raises it, and calls gb_ring_advance when it has reached `limit`; behind `limit`
 * GB_SLACK words are free, so anything up to that size may be written before looking. `cursor` always points
 * somewhere writable, so the writer never has to ask in which state the ring is:
 *
 *   owned    in chunk head % chunks, which the consumer does not look at yet
 *   parked   in scratch memory, because nothing was written since the last chunk was published; the first words
 *            are carried over into the next chunk
 *   losing   in scratch memory, over and over, because no chunk is free and the mode is lossy; the words are counted
 *   ending   as losing, but the last block that was recorded still runs: the loss counts from the next block on
 *   resuming as losing, but a chunk is free: the loss ends with the next block
 *   off      in scratch memory, over and over: these words are not wanted
 */
#ifndef GB_RING_H
#define GB_RING_H

#include <stdbool.h>

#include "trace_abi.h"

enum { GB_SLACK = 40 }; /* words; the largest event has 37 */

typedef enum { GB_PARKED, GB_OWNED, GB_LOSING, GB_ENDING, GB_RESUMING } gb_ring_state;

typedef struct gb_ring gb_ring;

/* Asked every GB_PATIENCE_NS while a chunk is waited for: false ends the wait and words are lost from then on. */
typedef bool gb_keep_waiting(gb_ring *ring);
enum { GB_PATIENCE_NS = 100000000 };

/* The last event CODE_PAGE for a page of code in RAM; the owner of the ring uses it. */
typedef struct {
    uint64_t virtual_page;
    uint32_t reader_epoch; /* equal to the ring's: the reader has that event */
} gb_code_page;

struct gb_ring {
    uint32_t *cursor, *limit;             /* the hot pair */
    uint32_t *page_epochs;                /* one a page of RAM; equal to `epoch`: looked at since addresses may have changed */
    uint32_t epoch, reader_epoch;         /* raised when they may have, and when the reader missed words */
    gb_code_page *pages;                  /* one a page of RAM */
    uint32_t *held_cursor, *held_limit;   /* while off */
    gb_chunk *chunk;                      /* while owned */
    gb_vcpu *shared;
    uint8_t *chunks_base;
    uint32_t *scratch;                    /* as large as a chunk */
    gb_keep_waiting *keep_waiting;        /* NULL: lossy */
    void (*publishing)(gb_ring *ring);    /* called just before a chunk is published; may be NULL */
    uint64_t (*count)(unsigned vcpu);     /* instructions begun so far, for events GAP; NULL: not counted */
    uint64_t sequence, lost_chunks, lost_words;
    uint64_t lost_from, lost_since, lost_instructions; /* by `count`: at the first block lost; since then or since on; before */
    uint64_t root, instructions;          /* for the chunks' headers: the owner of the ring keeps them */
    uint32_t chunk_bytes, chunks, vcpu, window;
    uint32_t reserve;                     /* chunks held back, so that a window's end fits even into a full ring */
    gb_ring_state state;
    bool off;
} __attribute__((aligned(256)));

/* Time of CLOCK_REALTIME in ns. */
uint64_t gb_time_ns(void);

/* Begin a window: an empty ring, parked. The caller has made head and tail equal. */
void gb_ring_open(gb_ring *ring, gb_vcpu *shared, void *chunks_base, uint32_t *scratch, uint32_t chunk_bytes,
                  uint32_t chunks, uint32_t vcpu, uint32_t window, gb_keep_waiting *keep_waiting);

/*
 * The chunk is full, or scratch memory is: go on in the next chunk, waiting for it if that is the mode. `begins`: the
 * last word is the id of a block that begins now, so a loss may begin or end with it.
 */
void gb_ring_advance(gb_ring *ring, bool begins);

/* A block begins, and events will come before its id, or no id: a loss may begin or end here. */
void gb_ring_at_block(gb_ring *ring);

/* Whether a chunk is free. */
bool gb_ring_has_free_chunk(const gb_ring *ring);

/* Publish what there is, without waiting for anything. */
void gb_ring_flush(gb_ring *ring);

/* End the window: `words` (at most GB_SLACK) go last, and before them an event GAP if words were lost. Once a window.
 */
void gb_ring_close(gb_ring *ring, const uint32_t *words, unsigned count);

/* Words that follow are not wanted (true), or wanted again (false). */
void gb_ring_set_off(gb_ring *ring, bool off);

static inline void gb_ring_check(gb_ring *ring)
{
    if (__builtin_expect(ring->cursor >= ring->limit, 0)) {
        gb_ring_advance(ring, false);
    }
}

/* The id of a block that begins now. */
static inline void gb_ring_put(gb_ring *ring, uint32_t id)
{
    *ring->cursor++ = id;
    if (__builtin_expect(ring->cursor >= ring->limit, 0)) {
        gb_ring_advance(ring, true);
    }
}

/* Write an event of up to GB_SLACK words in one piece. */
void gb_ring_event(gb_ring *ring, unsigned type, unsigned small, const uint32_t *payload, unsigned words);

/* The dictionary's ring of bytes, of a size that is a power of two. False: it does not fit now. */
bool gb_dictionary_put(gb_dictionary *shared, uint8_t *bytes, uint64_t size, const gb_block *record);

#endif
