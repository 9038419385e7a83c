/* What is called at loads and stores. on_memory and on_memory_value are as hot as on_block. */
#include <string.h>

#include "plugin.h"
#include "values.h"

/*
 * Where QEMU keeps size and direction in what it calls opaque: asked once, for two calls an access cost a third of the
 * time. Bits that no QEMU uses stand for "not found", and then it is asked each time.
 */
static unsigned size_bit = 32, store_bit = 32;
static bool bits_are_known;

static bool is_size_at(unsigned bit)
{
    bool same = true;
    for (unsigned log2size = 0; log2size < 5; log2size++) {
        same &= qemu_plugin_mem_size_shift(log2size << bit) == log2size &&
                qemu_plugin_mem_size_shift(log2size << bit | ~(7u << bit)) == log2size;
    }
    return same;
}

void find_memory_bits(void)
{
    for (unsigned bit = 0; bit < 29; bit++) {
        size_bit = is_size_at(bit) ? bit : size_bit;
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        bool only = qemu_plugin_mem_is_store(1u << bit) && !qemu_plugin_mem_is_store(~(1u << bit));
        store_bit = only ? bit : store_bit;
    }
    bits_are_known = size_bit < 32 && store_bit < 32;
}

static inline bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static gb_value_place places[GB_MAX_VCPUS];
static unsigned places_searched;
static const void *value_at[GB_MAX_VCPUS]; /* once found; NULL: ask QEMU */

static uint32_t *put_value(uint32_t *cursor, qemu_plugin_meminfo_t info, unsigned log2size)
{
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
    switch (log2size) {
    case 0: *cursor = value.data.u8; break;
    case 1: *cursor = value.data.u16; break;
    case 2: *cursor = value.data.u32; break;
    case 3: put_64(cursor, value.data.u64); break;
    default:
        put_64(cursor, value.data.u128.low);
        put_64(cursor + 2, value.data.u128.high);
    }
    return cursor + (log2size < 3 ? 1 : 1u << (log2size - 2));
}

/* Any access: the functions below pass on to it what is rare, and so need no stack of their own. */
static __attribute__((noinline)) void put_memory(gb_ring *ring, qemu_plugin_meminfo_t info, uint64_t address,
                                                 uint32_t instruction, bool valued)
{
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    uint32_t word = GB_MEMORY_WORD(qemu_plugin_mem_is_store(info), valued, log2size, 0, address) | instruction;
    uint32_t *cursor = ring->cursor;
    if (is_canonical(address)) {
        *cursor++ = word;
        *cursor++ = (uint32_t)address;
    } else {
        unsigned value_words = !valued ? 0 : log2size < 3 ? 1 : 1u << (log2size - 2);
        *cursor++ = GB_EVENT_WORD(GB_EVENT_MEM_WIDE, 3 + value_words, 0);
        *cursor++ = word & ~0xffffu;
        put_64(cursor, address);
        cursor += 2;
    }
    ring->cursor = valued ? put_value(cursor, info, log2size) : cursor;
    gb_ring_check(ring);
}

static inline __attribute__((always_inline)) uint32_t *put_usual(gb_ring *ring, qemu_plugin_meminfo_t info,
                                                                 uint64_t address, uint32_t instruction, bool valued)
{
    uint32_t *cursor = ring->cursor;
    cursor[0] = GB_MEMORY_WORD(info >> store_bit & 1, valued, info >> size_bit & 7, 0, address) | instruction;
    cursor[1] = (uint32_t)address;
    return cursor + 2;
}

void on_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    gb_ring *ring = &rings[vcpu];
    if (__builtin_expect(!bits_are_known || !is_canonical(address), 0)) {
        put_memory(ring, info, address, (uint32_t)(uintptr_t)instruction, false);
        return;
    }
    ring->cursor = put_usual(ring, info, address, (uint32_t)(uintptr_t)instruction, false);
    gb_ring_check(ring);
}

void on_memory_value(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    static const uint32_t masks[] = {0xff, 0xffff, 0xffffffff};
    gb_ring *ring = &rings[vcpu];
    const void *place = value_at[vcpu];
    unsigned log2size = info >> size_bit & 7;
    if (__builtin_expect(!place || log2size > 3 || !is_canonical(address), 0)) {
        put_memory(ring, info, address, (uint32_t)(uintptr_t)instruction, true);
        return;
    }
    uint32_t *cursor = put_usual(ring, info, address, (uint32_t)(uintptr_t)instruction, true);
    if (log2size == 3) {
        uint64_t value;
        memcpy(&value, place, sizeof value);
        put_64(cursor, value);
        ring->cursor = cursor + 2;
    } else {
        uint32_t value;
        memcpy(&value, place, sizeof value);
        *cursor = value & masks[log2size];
        ring->cursor = cursor + 1;
    }
    gb_ring_check(ring);
}

/* As on_memory_value, while the place of values is being looked for; `below` is what translated code has in rbp. */
__attribute__((used)) void search_value(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction,
                                        const void *below)
{
    uint32_t words[4] = {0};
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    if (!value_at[vcpu] && !places[vcpu].failed && log2size <= 3) {
        put_value(words, info, log2size);
        if (gb_value_seen(&places[vcpu], below, log2size, words[0] | (uint64_t)words[1] << 32)) {
            value_at[vcpu] = bits_are_known ? places[vcpu].found : NULL;
            vcpu_page(vcpu)->value_distance = value_at[vcpu] ? (uintptr_t)below - (uintptr_t)value_at[vcpu] : 0;
            __atomic_add_fetch(&places_searched, 1, __ATOMIC_RELAXED);
        }
    }
    on_memory_value(vcpu, info, address, instruction);
}

#ifdef __x86_64__
/* A callback has four parameters; this one adds a fifth. */
__asm__(".text\n"
        ".type search_value_below_rbp, @function\n"
        "search_value_below_rbp:\n"
        "    mov %rbp, %r8\n"
        "    jmp search_value\n"
        ".size search_value_below_rbp, . - search_value_below_rbp\n");
qemu_plugin_vcpu_mem_cb_t search_value_below_rbp;
#endif

void forget_values(void)
{
    memset(places, 0, sizeof places);
    memset(value_at, 0, sizeof value_at);
    places_searched = 0;
    for (unsigned vcpu = 0; vcpu < control->vcpus; vcpu++) {
        vcpu_page(vcpu)->value_distance = 0;
    }
}

qemu_plugin_vcpu_mem_cb_t *value_hook(void)
{
#ifdef __x86_64__
    if (__atomic_load_n(&places_searched, __ATOMIC_RELAXED) < (unsigned)qemu_plugin_num_vcpus()) {
        return search_value_below_rbp;
    }
#endif
    return on_memory_value;
}

/* Of a block of one instruction; on_memory_alone was there before and has marked the place. */
void on_access_alone(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *valued)
{
    put_memory(&rings[vcpu], info, address, 0, valued != NULL);
    mark_alone(vcpu);
}

