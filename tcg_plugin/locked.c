/* See locked.h. */
#include "locked.h"

#include <link.h>

#include "memory.h"

static struct {
    gb_value old, expected; /* of the last load, and of the one before it */
} loaded[GB_MAX_VCPUS];

static uintptr_t own_start, own_end;

static int find_text(struct dl_phdr_info *program, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (unsigned i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = program->dlpi_phdr + i;
        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            own_start = program->dlpi_addr + part->p_vaddr;
            own_end = own_start + part->p_memsz;
        }
    }
    return 1; /* the first is the program itself */
}

void find_own_code(void)
{
    dl_iterate_phdr(find_text, NULL);
}

static bool is_same(gb_value one, gb_value other, uint64_t mask)
{
    return ((one.low ^ other.low) & mask) == 0 && one.high == other.high;
}

/* What a comparison expects to find. */
static gb_value accumulator(gb_locked kind, unsigned log2size)
{
    uint64_t low = gb_guest_register(GB_RAX);
    if (kind == GB_LOCKED_COMPARE) {
        return (gb_value){low, 0};
    }
    uint64_t high = gb_guest_register(GB_RDX);
    return log2size == 4 ? (gb_value){low, high} : (gb_value){(uint32_t)low | high << 32, 0};
}

void put_locked(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *packed, const void *caller)
{
    gb_locked kind = (gb_locked)((uintptr_t)packed & 0xff);
    bool valued = (uintptr_t)packed >> 8 & 1;
    uint32_t instruction = (uint32_t)(uintptr_t)packed & 0xffff0000;
    /* An access that is not aligned is left to translated code, while the other vCPUs stand still. */
    bool is_own = (uintptr_t)caller >= own_start && (uintptr_t)caller < own_end;
    if (!is_own && kind != GB_LOCKED_NEGATE) {
        put_access(&rings[vcpu], info, address, instruction, valued);
        return;
    }
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    gb_value value = value_of(info);
    if (!qemu_plugin_mem_is_store(info)) {
        loaded[vcpu].expected = loaded[vcpu].old;
        loaded[vcpu].old = value;
        return;
    }
    uint64_t mask = log2size < 3 ? (UINT64_C(1) << (8 << log2size)) - 1 : UINT64_MAX;
    gb_value old = loaded[vcpu].old, new = value;
    bool is_old_known = true;
    switch (kind) {
    case GB_LOCKED_COMPARE:
    case GB_LOCKED_COMPARE_PAIR:
        new = is_same(old, accumulator(kind, log2size), mask) ? value : old; /* a failed one stores what it has loaded */
        break;
    case GB_LOCKED_NEGATE: /* a loop of loads and comparisons, of which the last succeeds */
        if (!is_same(old, loaded[vcpu].expected, mask)) {
            return;
        }
        break;
    case GB_LOCKED_FETCH_ADD: new.low = old.low + value.low; break;
    case GB_LOCKED_FETCH_AND: new.low = old.low & value.low; break;
    case GB_LOCKED_FETCH_OR: new.low = old.low | value.low; break;
    case GB_LOCKED_FETCH_XOR: new.low = old.low ^ value.low; break;
    case GB_LOCKED_ADD_FETCH: new = old, old.low -= value.low; break;
    case GB_LOCKED_XOR_FETCH: new = old, old.low ^= value.low; break;
    default: /* GB_LOCKED_AND_OR_FETCH: bits that the operand overrides are gone */
        new = old;
        is_old_known = false;
    }
    old.low &= mask, new.low &= mask;
    put_known(&rings[vcpu], (gb_access){address, instruction, false, valued && is_old_known, log2size, old});
    put_known(&rings[vcpu], (gb_access){address, instruction, true, valued, log2size, new});
}

void on_locked(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *packed)
{
    put_locked(vcpu, info, address, packed, __builtin_return_address(0));
}
