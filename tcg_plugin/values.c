#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "values.h"

/* Reads what may not be there; the kernel says so instead of ending the process. */
static bool read_words(const void *below, uint64_t *words)
{
    size_t bytes = GB_VALUE_WORDS * sizeof *words;
    struct iovec here = {words, bytes}, there = {(void *)((uintptr_t)below - bytes), bytes};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

static uint64_t agreeing(const uint64_t *words, unsigned log2size, uint64_t value)
{
    uint64_t mask = log2size == 3 ? UINT64_MAX : (UINT64_C(1) << (8 << log2size)) - 1, agree = 0;
    for (unsigned i = 0; i < GB_VALUE_WORDS; i++) {
        agree |= (uint64_t)((words[i] & mask) == value) << i;
    }
    return agree;
}

/* Start again with other registers; true if that was tried too often. */
static bool start(gb_value_place *place, const void *below)
{
    unsigned starts = place->starts + 1;
    *place = (gb_value_place){.below = below, .candidates = UINT64_MAX, .starts = starts};
    return place->failed = starts > GB_VALUE_STARTS;
}

bool gb_value_seen(gb_value_place *place, const void *below, unsigned log2size, uint64_t value)
{
    uint64_t words[GB_VALUE_WORDS];
    if (place->found || place->failed) {
        return true;
    }
    if (log2size > 3 || value == place->last) {
        return false;
    }
    if (below != place->below) {
        /* Those of translated code are most. */
        bool is_rare = place->below && ++place->others <= place->wide + place->narrow;
        if (is_rare || start(place, below)) {
            return place->failed;
        }
    }
    place->last = value;
    place->candidates &= read_words(below, words) ? agreeing(words, log2size, value) : 0;
    if (!place->candidates) {
        place->below = NULL;
        return place->failed = place->starts >= GB_VALUE_STARTS;
    }
    place->wide += log2size == 3;
    place->narrow += log2size < 3;
    if (place->wide >= GB_VALUE_SAMPLES && place->narrow >= GB_VALUE_SAMPLES) {
        bool only = (place->candidates & (place->candidates - 1)) == 0;
        const uint64_t *first = (const uint64_t *)below - GB_VALUE_WORDS;
        place->found = only ? first + __builtin_ctzll(place->candidates) : NULL;
        place->failed = !only;
    }
    return place->found || place->failed;
}
