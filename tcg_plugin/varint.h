/* Numbers of up to 64 bits in 1 to 10 bytes: seven bits a byte, low ones first, bit 7 set when another follows (LEB128). */
#ifndef GB_VARINT_H
#define GB_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VARINT_MOST = 10 };

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* The same without a jump for each byte, where 8 bytes more may be written than the number has. */
static inline uint8_t *put_varint_at_once(uint8_t *at, uint64_t value)
{
    if (__builtin_expect(value >> 56 != 0, 0)) {
        return put_varint(at, value);
    }
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1), bytes = (bits + 6) * 37 >> 8; /* a seventh, up to 62 */
    value = (value & 0x00fffffff0000000) << 4 | (value & 0x000000000fffffff);
    value = (value & 0x0fffc0000fffc000) << 2 | (value & 0x00003fff00003fff);
    value = (value & 0x3f803f803f803f80) << 1 | (value & 0x007f007f007f007f);
    value |= UINT64_C(0x8080808080808080) & ((UINT64_C(1) << 8 * (bytes - 1)) - 1);
    memcpy(at, &value, sizeof value);
    return at + bytes;
}

/* NULL when the bytes end first or the number has more than 64 bits. */
static inline const uint8_t *get_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t found = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) {
            return NULL;
        }
        found |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = found;
            return at;
        }
    }
    return NULL;
}

/* Small numbers of either sign as small numbers: 0, -1, 1, -2, … */
static inline uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t unzigzag(uint64_t coded)
{
    return coded >> 1 ^ (0 - (coded & 1));
}

#endif
