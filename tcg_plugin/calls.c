/* See calls.h. */
#include "calls.h"

#include <string.h>

/* Where the lower half of linear addresses ends, which is the program's. */
#define USER_END (UINT64_C(1) << 47)

enum { ARGUMENTS = 6, TEXT_BYTES = 4 * GB_TEXT_WORDS, TEXT_PIECES = 4, RET_BYTES = 40 };

static uint64_t half(gb_register which)
{
    return (uint32_t)gb_guest_register(which);
}

/* A 32-bit program's entry from the vDSO left one argument on its stack. */
static uint64_t pushed(uint64_t address)
{
    uint32_t value = 0;
    gb_guest_read((uint32_t)address, &value, sizeof value);
    return value;
}

static void read_arguments(gb_gate gate, uint64_t to[ARGUMENTS])
{
    static const gb_register order[2][ARGUMENTS] = {
        {GB_RDI, GB_RSI, GB_RDX, GB_R10, GB_R8, GB_R9},
        {GB_RBX, GB_RCX, GB_RDX, GB_RSI, GB_RDI, GB_RBP},
    };
    for (unsigned i = 0; i < ARGUMENTS; i++) {
        to[i] = gate == GB_GATE_SYSCALL ? gb_guest_register(order[0][i]) : half(order[1][i]);
    }
    if (gate == GB_GATE_SYSENTER) {
        to[5] = pushed(to[5]);
    } else if (gate == GB_GATE_SYSCALL_32) {
        to[1] = to[5];
        to[5] = pushed(half(GB_RSP));
    }
}

/*
 * Up to `length` bytes at `address`, or up to a zero, in pieces. A piece ends with its page: the next may not be mapped. Nothing
 * beyond the program's half: the program chose the address, and to read a device that the kernel has mapped there changes it.
 */
static void put_text(gb_ring *ring, unsigned argument, uint64_t address, uint64_t length, bool ends_with_zero)
{
    for (unsigned piece = 0; piece < TEXT_PIECES && length && address < USER_END; piece++) {
        uint32_t words[GB_TEXT_WORDS] = {0};
        uint64_t bytes = GB_PAGE_BYTES - address % GB_PAGE_BYTES;
        bytes = bytes < TEXT_BYTES ? bytes : TEXT_BYTES;
        bytes = bytes < length ? bytes : length;
        if (!gb_guest_read(address, words, bytes)) {
            return;
        }
        const char *zero = ends_with_zero ? memchr(words, 0, bytes) : NULL;
        uint64_t found = zero ? (uint64_t)(zero - (const char *)words) : bytes;
        bool more = !zero && found < length;
        memset((uint8_t *)words + found, 0, TEXT_BYTES - found);
        gb_ring_event(ring, GB_EVENT_TEXT, GB_TEXT_SMALL(argument, more, found), words, (unsigned)(found + 3) / 4);
        address += found;
        length = more ? length - found : 0;
    }
}

static void put_texts(gb_ring *ring, gb_gate gate, uint64_t number, const uint64_t arguments[ARGUMENTS])
{
    const uint8_t *table = gate == GB_GATE_SYSCALL ? control->texts : control->texts_32;
    unsigned wanted = number < GB_MAX_CALLS ? table[number] : 0;
    for (unsigned i = 0; i < ARGUMENTS; i++) {
        if (wanted >> i & 1) {
            put_text(ring, i, arguments[i], UINT64_MAX, true);
        }
    }
    if (wanted & GB_TEXT_OF_LENGTH) {
        put_text(ring, 1, arguments[1], arguments[2] < INT64_MAX ? arguments[2] : 0, false);
    }
}

static void put_event(gb_ring *ring, unsigned type, unsigned small, const uint64_t *values, unsigned count)
{
    uint32_t words[2 * (ARGUMENTS + 3)];
    for (unsigned i = 0; i < count; i++) {
        put_64(words + (size_t)2 * i, values[i]);
    }
    gb_ring_event(ring, type, small, words, 2 * count);
}

void on_call(unsigned vcpu, void *gate_of_call)
{
    gb_ring *ring = &rings[vcpu];
    gb_gate gate = (gb_gate)(uintptr_t)gate_of_call;
    uint64_t values[ARGUMENTS + 3];
    if (ring->off) {
        return;
    }
    values[0] = gb_guest_register(GB_RAX);
    read_arguments(gate, values + 1);
    values[ARGUMENTS + 1] = gb_guest_register(GB_RSP);
    values[ARGUMENTS + 2] = gb_time_ns();
    put_event(ring, GB_EVENT_SYSCALL, gate, values, ARGUMENTS + 3);
    put_texts(ring, gate, (uint32_t)values[0], values + 1);
}

void on_return(unsigned vcpu, void *gate_of_call)
{
    gb_ring *ring = &rings[vcpu];
    gb_gate gate = (gb_gate)(uintptr_t)gate_of_call;
    bool exits = gate == GB_GATE_SYSENTER;
    if (!ring->off) {
        uint64_t values[] = {gb_guest_register(GB_RAX), gb_guest_register(exits ? GB_RCX : GB_RSP),
                             gb_guest_register(exits ? GB_RDX : GB_RCX), gb_time_ns()};
        put_event(ring, GB_EVENT_SYSRET, gate, values, 4);
    }
}

/* So a kernel begins a program; nothing else leaves a program without a single value. */
static bool is_program_start(void)
{
    static const gb_register cleared[] = {GB_RAX, GB_RBX, GB_RCX, GB_RDX, GB_RSI, GB_RDI, GB_RBP, GB_R8,
                                          GB_R9,  GB_R10, GB_R11, GB_R12, GB_R13, GB_R14, GB_R15};
    unsigned i = 0, count = sizeof cleared / sizeof cleared[0];
    while (i < count && !gb_guest_register(cleared[i])) {
        i++;
    }
    return i == count;
}

/* The processor is about to pop RIP, CS, RFLAGS, RSP and SS. */
void on_iret(unsigned vcpu, void *unused)
{
    (void)unused;
    gb_ring *ring = &rings[vcpu];
    uint64_t popped[RET_BYTES / 8];
    if (!ring->off && gb_guest_read(gb_guest_register(GB_RSP), popped, RET_BYTES) && (popped[1] & 3) == 3) {
        uint64_t values[] = {gb_guest_register(GB_RAX), popped[3], popped[0], gb_time_ns()};
        /* It may be a block of its own, whose loads tell by the mark that it began. */
        bool is_single = is_single_marked(vcpu);
        put_event(ring, GB_EVENT_IRET, is_program_start(), values, 4);
        if (is_single) {
            mark_single(vcpu);
        }
    }
}
