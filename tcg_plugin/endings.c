/* How the last instruction of each block may go on: see codec.h. */
#include "records.h"

static bool is_prefix(uint8_t byte, unsigned mode)
{
    return byte == 0x66 || byte == 0x67 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e ||
           byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64 || byte == 0x65 ||
           (mode == 64 && (byte & 0xf0) == 0x40);
}

/* Signed little-endian number of `bytes` bytes that ends the instruction. */
static uint64_t relative(const uint8_t *end, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, end - bytes, bytes);
    unsigned shift = 32 - 8 * bytes;
    return (uint64_t)(int64_t)((int32_t)(value << shift) >> shift);
}

static void classify(gb_ending *ending, const uint8_t *code, unsigned length, unsigned mode, uint64_t behind)
{
    unsigned i = 0;
    bool repeated = false, narrow = mode == 16;
    while (i + 1 < length && is_prefix(code[i], mode)) {
        repeated |= code[i] == 0xf2 || code[i] == 0xf3;
        /* In 64-bit mode near branches keep 32-bit displacements with this prefix on Intel's and QEMU's processors. */
        narrow ^= code[i] == 0x66 && mode != 64;
        i++;
    }
    unsigned opcode = code[i], left = length - i - 1;
    unsigned wide = narrow ? 2 : 4;
    if (opcode == 0x0f && left) {
        opcode = 0x0f00 | code[++i];
        left--;
    }
    unsigned register_field = left ? code[i + 1] >> 3 & 7 : 0;
    ending->opcode = opcode;
    ending->flow = GB_FLOW_NEXT;
    ending->target = behind;
    if (((opcode & 0xf0) == 0x70 && opcode < 0x80) || (opcode >= 0xe0 && opcode <= 0xe3)) {
        ending->flow = GB_FLOW_BRANCH;
        ending->target = behind + (left >= 1 ? relative(code + length, 1) : 0);
    } else if ((opcode & 0xfff0) == 0x0f80) {
        ending->flow = GB_FLOW_BRANCH;
        ending->target = behind + (left >= wide ? relative(code + length, wide) : 0);
    } else if (opcode == 0xeb) {
        ending->flow = GB_FLOW_JUMP;
        ending->target = behind + (left >= 1 ? relative(code + length, 1) : 0);
    } else if (opcode == 0xe8 || opcode == 0xe9) {
        ending->flow = GB_FLOW_JUMP;
        ending->target = behind + (left >= wide ? relative(code + length, wide) : 0);
    } else if (opcode == 0xc2 || opcode == 0xc3 || (opcode >= 0xca && opcode <= 0xcf) || opcode == 0xf1 ||
               opcode == 0xea || opcode == 0x9a || (opcode == 0xff && register_field >= 2 && register_field <= 5) ||
               opcode == 0x0f05 || opcode == 0x0f07 || opcode == 0x0f34 || opcode == 0x0f35 || opcode == 0x0faa) {
        ending->flow = GB_FLOW_ANY;
    } else if (repeated && ((opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf) ||
                            (opcode >= 0x6c && opcode <= 0x6f))) {
        ending->flow = GB_FLOW_REPEAT;
    }
}

int64_t gb_endings(const gb_records *records, gb_ending *endings)
{
    for (uint64_t number = 0; number < records->count; number++) {
        const gb_block *record = record_of(records, (uint32_t)number);
        memset(endings + number, 0, sizeof *endings);
        endings[number].flow = GB_FLOW_ANY;
        if (record) {
            const uint8_t *lengths = (const uint8_t *)(record + 1), *code = lengths + record->instructions;
            unsigned last = lengths[record->instructions - 1];
            if (last) {
                classify(endings + number, code + record->bytes - last, last, record->mode,
                         record->address + record->bytes);
            }
        }
    }
    return 0;
}

