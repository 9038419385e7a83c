/* Chunks of a ring, split one after another and freed: see codec.h. */
#include "codec.h"

/* A copy, because another process can write to the original. */
static int64_t read_header(const gb_published *from, gb_taken_chunk *taken, const uint32_t **words)
{
    const uint8_t *place = from->chunks + from->next % from->chunk_count * from->chunk_bytes;
    taken->chunk = *(const gb_chunk *)place;
    *words = (const uint32_t *)(place + sizeof(gb_chunk));
    bool is_sound = taken->chunk.words <= (from->chunk_bytes - sizeof(gb_chunk)) / 4 && taken->chunk.vcpu == from->vcpu;
    return is_sound ? 0 : GB_ERROR_CHUNK;
}

static bool fits(const gb_columns *out, const gb_access_encoder *accesses, uint64_t words)
{
    return out->id_capacity - out->id_count >= words && out->event_capacity - out->event_count >= words &&
           out->event_word_capacity - out->event_word_count >= words && gb_have_capacity(accesses, words);
}

int64_t gb_split_chunks(gb_published *from, uint64_t first_block, uint64_t most_ids, uint64_t most_accesses, gb_columns *out,
                        gb_access_encoder *accesses, gb_taken_chunk *taken, uint64_t capacity)
{
    uint64_t done = 0;
    bool is_full = false;
    if (!from->chunk_count || from->chunk_bytes < sizeof(gb_chunk)) {
        return GB_ERROR_CHUNK;
    }
    while (!is_full && from->next != from->head && done < capacity) {
        const uint32_t *words;
        int64_t result = read_header(from, taken + done, &words);
        if (!result && !fits(out, accesses, taken[done].chunk.words)) {
            return done ? (int64_t)done : GB_ERROR_CAPACITY;
        }
        taken[done].first_block = first_block + out->id_count;
        result = result ? result : gb_split(words, taken[done].chunk.words, out, accesses);
        __atomic_store_n(from->tail, ++from->next, __ATOMIC_RELEASE);
        if (result) {
            return result;
        }
        is_full = taken[done].chunk.flags & GB_CHUNK_LAST || out->id_count >= most_ids || accesses->count >= most_accesses;
        done++;
    }
    return (int64_t)done;
}
