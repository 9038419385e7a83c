/* As much of x86 decoding as the choice of hooks needs. */
#ifndef GB_OPCODE_H
#define GB_OPCODE_H

#include <stdbool.h>
#include <string.h>

#include "guest.h"

enum { REX_W = 8 };

/* The opcode of an instruction: its first bytes after legacy prefixes and REX. */
typedef struct {
    const uint8_t *bytes;
    unsigned length;
    uint8_t rex;
} opcode;

static inline opcode skip_prefixes(const uint8_t *bytes, unsigned length, uint8_t mode)
{
    opcode found = {bytes, length, 0};
    while (found.length && strchr("\x66\x67\xf0\xf2\xf3\x2e\x36\x3e\x26\x64\x65", *found.bytes) && *found.bytes) {
        found.bytes++, found.length--;
    }
    if (mode == 64 && found.length && (*found.bytes & 0xf0) == 0x40) {
        found.rex = *found.bytes++, found.length--;
    }
    return found;
}

/* As a processor reads it: REX counts where the opcode follows. In code of 32 bits what looks like REX is a whole instruction. */
static inline opcode find_opcode(const uint8_t *bytes, unsigned length)
{
    opcode found = skip_prefixes(bytes, length, 64);
    while (found.length && found.rex) {
        opcode next = skip_prefixes(found.bytes, found.length, 64);
        if (next.length == found.length) {
            break;
        }
        found = next;
    }
    return found;
}

/* What a locked instruction does to memory, by what QEMU reports of it (locked.h). */
typedef enum {
    GB_LOCKED_NONE,
    GB_LOCKED_COMPARE,      /* with the accumulator; reported: old, new if they are equal */
    GB_LOCKED_COMPARE_PAIR, /* with rdx:rax or edx:eax */
    GB_LOCKED_NEGATE,       /* a load, then comparisons with what was loaded */
    GB_LOCKED_FETCH_ADD,    /* reported: old, operand */
    GB_LOCKED_FETCH_AND,
    GB_LOCKED_FETCH_OR,
    GB_LOCKED_FETCH_XOR,
    GB_LOCKED_ADD_FETCH,    /* reported: new, operand */
    GB_LOCKED_XOR_FETCH,
    GB_LOCKED_AND_OR_FETCH,
} gb_locked;

/* NONE for instructions without the prefix, and for xchg, of which QEMU reports what the processor does. */
static inline gb_locked locked_kind(const uint8_t *bytes, unsigned length, uint8_t mode)
{
    /* add or adc sbb and sub xor cmp: the order of opcodes 0x00 to 0x3f and of the group 0x80 to 0x83. */
    static const uint8_t arithmetic[8] = {
        GB_LOCKED_ADD_FETCH, GB_LOCKED_AND_OR_FETCH, GB_LOCKED_ADD_FETCH, GB_LOCKED_ADD_FETCH,
        GB_LOCKED_AND_OR_FETCH, GB_LOCKED_FETCH_ADD, GB_LOCKED_XOR_FETCH, GB_LOCKED_NONE,
    };
    static const uint8_t bits[8] = {0, 0, 0, 0, 0, GB_LOCKED_FETCH_OR, GB_LOCKED_FETCH_AND, GB_LOCKED_FETCH_XOR};
    opcode op = skip_prefixes(bytes, length, mode);
    bool locked = memchr(bytes, 0xf0, length - op.length) != NULL;
    if (!locked || op.length < 2) {
        return GB_LOCKED_NONE;
    }
    uint8_t first = op.bytes[0], second = op.bytes[1], kind = second >> 3 & 7;
    if (first < 0x40 && (first & 7) < 2) {
        return (gb_locked)arithmetic[first >> 3];
    }
    if (first >= 0x80 && first <= 0x83) {
        return (gb_locked)arithmetic[kind];
    }
    if ((first & 0xfe) == 0xfe) {
        return kind < 2 ? GB_LOCKED_ADD_FETCH : GB_LOCKED_NONE;
    }
    if ((first & 0xfe) == 0xf6) {
        return kind == 2 ? GB_LOCKED_XOR_FETCH : kind == 3 ? GB_LOCKED_NEGATE : GB_LOCKED_NONE;
    }
    if (first != 0x0f) {
        return GB_LOCKED_NONE;
    }
    switch (second) {
    case 0xc0: case 0xc1: return GB_LOCKED_FETCH_ADD;
    case 0xb0: case 0xb1: return GB_LOCKED_COMPARE;
    case 0xc7: return GB_LOCKED_COMPARE_PAIR;
    case 0xab: return GB_LOCKED_FETCH_OR;
    case 0xb3: return GB_LOCKED_FETCH_AND;
    case 0xbb: return GB_LOCKED_FETCH_XOR;
    case 0xba: return op.length > 2 ? (gb_locked)bits[op.bytes[2] >> 3 & 7] : GB_LOCKED_NONE;
    default: return GB_LOCKED_NONE;
    }
}

/* The register whose value `mov cr, reg` loads. */
static inline uintptr_t source_of(opcode op)
{
    /* Encoded as RAX RCX RDX RBX RSP RBP RSI RDI. */
    static const uint8_t order[8] = {GB_RAX, GB_RCX, GB_RDX, GB_RBX, GB_RSP, GB_RBP, GB_RSI, GB_RDI};
    return op.rex & 1 ? GB_R8 + (op.bytes[2] & 7u) : order[op.bytes[2] & 7];
}

static inline bool is_root_load(opcode op)
{
    return op.length > 2 && op.bytes[0] == 0x0f && op.bytes[1] == 0x22 && (op.bytes[2] >> 3 & 7) == 3 && !(op.rex & 4);
}

static inline bool may_leave_map(opcode op)
{
    uint8_t kind = op.length > 1 ? op.bytes[1] >> 3 & 7 : 0;
    return op.length && ((op.bytes[0] == 0xff && (kind == 4 || kind == 5)) || op.bytes[0] == 0xca || op.bytes[0] == 0xcb);
}

/* Whether a direct jump at the end of the block leads strictly into its middle. */
static inline bool jumps_inside(const gb_block *block, opcode op)
{
    int64_t distance;
    if (op.length >= 2 && ((op.bytes[0] & 0xf0) == 0x70 || (op.bytes[0] & 0xfc) == 0xe0 || op.bytes[0] == 0xeb)) {
        distance = (int8_t)op.bytes[1];
    } else if (op.length >= 5 && (op.bytes[0] == 0xe9 || (op.bytes[0] == 0x0f && (op.bytes[1] & 0xf0) == 0x80))) {
        int32_t wide;
        memcpy(&wide, op.bytes + op.length - 4, 4);
        distance = wide;
    } else {
        return false;
    }
    int64_t target = (int64_t)block->bytes + distance;
    return target > 0 && target < (int64_t)block->bytes;
}

#endif
