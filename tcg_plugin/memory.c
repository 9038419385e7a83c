/* See memory.h. */
#include "memory.h"

#include <string.h>

#include "values.h"

/*
 * Where QEMU keeps size and direction in what it calls opaque: two calls an access cost a third of the time. The bit of
 * the size is 4 in QEMU 10.0, 5 in 11.1 (make_memop_idx, include/exec/memopidx.h); with others QEMU is asked each time.
 */
enum { SIZE_AT = 4, SIZE_AT_LATER = 5, STORE_AT = 17 };
static bool is_known, is_later;

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
    bool is_store_there = qemu_plugin_mem_is_store(1u << STORE_AT) && !qemu_plugin_mem_is_store(~(1u << STORE_AT));
    is_later = is_size_at(SIZE_AT_LATER);
    is_known = is_store_there && (is_later || is_size_at(SIZE_AT));
}

static inline bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static gb_value_place places[GB_MAX_VCPUS];
static unsigned places_searched;
static const void *value_at[GB_MAX_VCPUS]; /* once found; NULL: ask QEMU */

gb_value value_of(qemu_plugin_meminfo_t info)
{
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
    switch (qemu_plugin_mem_size_shift(info)) {
    case 0: return (gb_value){value.data.u8, 0};
    case 1: return (gb_value){value.data.u16, 0};
    case 2: return (gb_value){value.data.u32, 0};
    case 3: return (gb_value){value.data.u64, 0};
    default: return (gb_value){value.data.u128.low, value.data.u128.high};
    }
}

void put_known(gb_ring *ring, gb_access access)
{
    unsigned value_words = !access.is_valued ? 0 : access.log2size < 3 ? 1 : 1u << (access.log2size - 2);
    uint32_t word = GB_MEMORY_WORD(access.is_store, access.is_valued, access.log2size, 0, access.address);
    uint32_t *cursor = ring->cursor;
    if (is_canonical(access.address)) {
        *cursor++ = word | access.instruction;
        *cursor++ = (uint32_t)access.address;
    } else {
        *cursor++ = GB_EVENT_WORD(GB_EVENT_MEM_WIDE, 3 + value_words, 0);
        *cursor++ = (word | access.instruction) & ~0xffffu;
        put_64(cursor, access.address);
        cursor += 2;
    }
    if (value_words == 1) {
        *cursor = (uint32_t)access.value.low;
    } else if (value_words) {
        put_64(cursor, access.value.low);
    }
    if (value_words == 4) {
        put_64(cursor + 2, access.value.high);
    }
    ring->cursor = cursor + value_words;
    gb_ring_check(ring);
}

/* Never inlined: so the hot callbacks below, which leave the rare cases to it, need no stack frame. */
__attribute__((noinline)) void put_access(gb_ring *ring, qemu_plugin_meminfo_t info, uint64_t address,
                                          uint32_t instruction, bool valued)
{
    gb_value value = valued ? value_of(info) : (gb_value){0, 0};
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    put_known(ring, (gb_access){address, instruction, qemu_plugin_mem_is_store(info), valued, log2size, value});
}

/*
 * What is the same for all accesses is a constant here: the ring of a machine of one vCPU, and where QEMU keeps size and
 * direction. A third of the instructions goes. `instruction` has the bits of the word that were known in advance (pack_access).
 */
static inline __attribute__((always_inline)) void record(gb_ring *ring, qemu_plugin_meminfo_t info, uint64_t address,
                                                         void *instruction, unsigned size_at, bool valued,
                                                         const void *place)
{
    static const uint32_t masks[] = {0xff, 0xffff, 0xffffffff, 0xffffffff};
    uint32_t log2size = info >> size_at & 7;
    uint64_t low48 = address << 16;
    bool is_wide = (uint64_t)((int64_t)low48 >> 16) != address;
    if (__builtin_expect(is_wide || (valued && (!place || log2size > 3)), 0)) {
        put_access(ring, info, address, (uint32_t)(uintptr_t)instruction, valued);
        return;
    }
    uint32_t *cursor = ring->cursor;
    /* One multiplication brings both size and direction to where they stand in the word. */
    uint32_t moved = (info & (1u << STORE_AT | 7u << size_at)) * (1u << (29 - STORE_AT) | 1u << (25 - size_at));
    uint32_t word = (moved & (1u << 29 | 7u << 25)) | (uint32_t)(uintptr_t)instruction;
    uint64_t both = (low48 << 16 | low48 >> 48) | word;
    memcpy(cursor, &both, sizeof both);
    if (valued) {
        /* Two loads: of what translated code has stored as 32 bits, 64 would have to wait for. */
        uint32_t low, high;
        memcpy(&low, place, sizeof low);
        memcpy(&high, (const uint8_t *)place + sizeof low, sizeof high);
        uint64_t value = (low & masks[log2size]) | (uint64_t)high << 32;
        memcpy(cursor + 2, &value, sizeof value);
    }
    ring->cursor = cursor + 2 + (valued ? 1 + (log2size == 3) : 0);
    gb_ring_check(ring);
}

#define MEMORY_HOOKS(name, number, size_at)                                                                         \
    static void on_memory_##name(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)    \
    {                                                                                                               \
        (void)vcpu;                                                                                                 \
        record(&rings[number], info, address, instruction, size_at, false, NULL);                                   \
    }                                                                                                               \
    static void on_value_##name(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)     \
    {                                                                                                               \
        (void)vcpu;                                                                                                 \
        record(&rings[number], info, address, instruction, size_at, true, value_at[number]);                        \
    }
MEMORY_HOOKS(of_one, 0, SIZE_AT)
MEMORY_HOOKS(of_one_later, 0, SIZE_AT_LATER)
MEMORY_HOOKS(of_many, vcpu, SIZE_AT)
MEMORY_HOOKS(of_many_later, vcpu, SIZE_AT_LATER)

static void on_memory_unknown(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    put_access(&rings[vcpu], info, address, (uint32_t)(uintptr_t)instruction, false);
}

static void on_value_unknown(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    put_access(&rings[vcpu], info, address, (uint32_t)(uintptr_t)instruction, true);
}

static qemu_plugin_vcpu_mem_cb_t *choose(bool valued)
{
    static qemu_plugin_vcpu_mem_cb_t *const known[2][2][2] = {
        {{on_memory_of_many, on_value_of_many}, {on_memory_of_many_later, on_value_of_many_later}},
        {{on_memory_of_one, on_value_of_one}, {on_memory_of_one_later, on_value_of_one_later}},
    };
    return is_known ? known[control->vcpus == 1][is_later][valued] : valued ? on_value_unknown : on_memory_unknown;
}

/* While the place of values is being looked for; `below` is what translated code has in rbp. */
__attribute__((used)) void search_value(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction,
                                        const void *below)
{
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    if (!value_at[vcpu] && !places[vcpu].failed && log2size <= 3) {
        if (gb_value_seen(&places[vcpu], below, log2size, value_of(info).low)) {
            value_at[vcpu] = is_known ? places[vcpu].found : NULL;
            vcpu_page(vcpu)->value_distance = value_at[vcpu] ? (uintptr_t)below - (uintptr_t)value_at[vcpu] : 0;
            __atomic_add_fetch(&places_searched, 1, __ATOMIC_RELAXED);
        }
    }
    choose(true)(vcpu, info, address, instruction);
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

qemu_plugin_vcpu_mem_cb_t *memory_hook(bool valued)
{
#ifdef __x86_64__
    if (valued && __atomic_load_n(&places_searched, __ATOMIC_RELAXED) < (unsigned)qemu_plugin_num_vcpus()) {
        return search_value_below_rbp;
    }
#endif
    return choose(valued);
}
