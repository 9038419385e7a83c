/* 64-bit values in 32-bit words, low word first: the form of every payload in a ring. */
#ifndef GB_WORDS_H
#define GB_WORDS_H

#include <stdint.h>

static inline void put_64(uint32_t *words, uint64_t value)
{
    words[0] = (uint32_t)value;
    words[1] = (uint32_t)(value >> 32);
}

static inline uint64_t get_64(const uint32_t *words)
{
    return words[0] | (uint64_t)words[1] << 32;
}

#endif
