/* See entry.h. */
#include "entry.h"

#include <string.h>

#include "direction.h"

/* Whether the loop's instructions are those that were learned. */
static bool is_same_code(const gb_paging *paging, const gb_learned *loop, uint64_t head)
{
    for (uint64_t i = 0; i < loop->codes; i++) {
        const uint8_t *code = loop->code[i].code;
        uint64_t at = head + (uint64_t)loop->code[i].distance, left = loop->code[i].bytes, physical;
        while (left) {
            uint64_t in = at & (GB_PAGE_BYTES - 1), part = GB_PAGE_BYTES - in < left ? GB_PAGE_BYTES - in : left;
            uint32_t reason;
            const uint8_t *page = gb_paging_find(paging, at, false, &physical, &reason);
            if (!page || memcmp(page + in, code, part) != 0) {
                return false;
            }
            at += part, code += part, left -= part;
        }
    }
    return true;
}

bool gb_entry_has_code(const gb_learned *loop, int64_t distance)
{
    for (uint64_t i = 0; i < loop->codes; i++) {
        if ((uint64_t)(distance - loop->code[i].distance) < loop->code[i].bytes) {
            return true;
        }
    }
    return false;
}

uint32_t gb_entry_objection(gb_paging *paging, const gb_learned *loop, uint64_t head, unsigned vcpu)
{
    enum { TRAP = 1 << 8, ALIGNMENT = 1 << 18, VIRTUAL_8086 = 1 << 17, USER_RING = 3, LINUX_USER32_CS = 0x23 };
    uint64_t segment = gb_guest_register(GB_CS);
    if ((segment & USER_RING) != USER_RING || (segment & 0xffff) == LINUX_USER32_CS) {
        return GB_REASON_MODE;
    }
    if (gb_guest_register(GB_EFLAGS) & (TRAP | ALIGNMENT | VIRTUAL_8086)) {
        return GB_REASON_FLAGS;
    }
    if (loop->forward && !direction_is_forward(vcpu)) {
        return GB_REASON_DIRECTION;
    }
    if (!gb_paging_begin(paging)) {
        return GB_REASON_PAGING;
    }
    return is_same_code(paging, loop, head) ? GB_LEARNED_REASONS : GB_REASON_CODE;
}

void gb_entry_read(uint64_t mask, uint64_t registers[GB_LEARNED_REGISTERS])
{
    for (unsigned i = 0; i < GB_GENERAL_REGISTERS; i++) {
        registers[i] = mask >> i & 1 ? gb_guest_register((gb_register)i) : 0;
    }
    for (unsigned i = GB_GENERAL_REGISTERS; i < GB_LEARNED_REGISTERS; i += 2) {
        if (mask >> i & 3) {
            gb_guest_vector((gb_register)(GB_XMM0 + (i - GB_GENERAL_REGISTERS) / 2), registers + i);
        } else {
            registers[i] = registers[i + 1] = 0;
        }
    }
}

void gb_entry_write(uint64_t mask, const uint64_t before[GB_LEARNED_REGISTERS],
                    const uint64_t after[GB_LEARNED_REGISTERS])
{
    for (unsigned i = 0; i < GB_GENERAL_REGISTERS; i++) {
        if (mask >> i & 1 && after[i] != before[i]) {
            gb_guest_set_register((gb_register)i, after[i]);
        }
    }
    for (unsigned i = GB_GENERAL_REGISTERS; i < GB_LEARNED_REGISTERS; i += 2) {
        if (mask >> i & 3 && memcmp(after + i, before + i, 2 * sizeof *after) != 0) {
            gb_guest_set_vector((gb_register)(GB_XMM0 + (i - GB_GENERAL_REGISTERS) / 2), after + i);
        }
    }
}
