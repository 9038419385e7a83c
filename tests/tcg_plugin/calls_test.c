/* Unit tests of calls.c: a text is read in the program's half of addresses only, however the program places it. */
#include "calls.h"
#include "check.h"

#include <string.h>

#define USER_END (UINT64_C(1) << 47)

gb_ring rings[GB_MAX_VCPUS];
gb_ring_place last_single[GB_MAX_VCPUS];
static gb_control page;
gb_control *control = &page;

static uint64_t registers[GB_REGISTER_COUNT];
static unsigned reads, texts, kernel_reads;

uint64_t gb_guest_register(gb_register which)
{
    return registers[which];
}

/* Every address is mapped, and no text ends. */
bool gb_guest_read(uint64_t address, void *to, size_t length)
{
    reads++;
    kernel_reads += address >= USER_END || address + length > USER_END;
    memset(to, 'x', length);
    return true;
}

uint64_t gb_time_ns(void)
{
    return 0;
}

void gb_ring_event(gb_ring *ring, unsigned type, unsigned small, const uint32_t *payload, unsigned words)
{
    (void)ring, (void)small, (void)payload, (void)words;
    texts += type == GB_EVENT_TEXT;
}

static void call_with(uint64_t number, uint64_t address, uint64_t length)
{
    reads = texts = kernel_reads = 0;
    registers[GB_RAX] = number;
    registers[GB_RDI] = registers[GB_RSI] = address;
    registers[GB_RDX] = length;
    on_call(0, (void *)GB_GATE_SYSCALL);
    CHECK(!kernel_reads && reads == texts);
}

static void test_texts_lie_in_the_programs_half(void)
{
    static const uint64_t outside[] = {USER_END, USER_END + 4096, UINT64_C(1) << 63, UINT64_MAX};
    page.texts[0] = 1;
    page.texts[1] = GB_TEXT_OF_LENGTH;
    for (uint64_t number = 0; number < 2; number++) {
        for (unsigned i = 0; i < sizeof outside / sizeof outside[0]; i++) {
            call_with(number, outside[i], 1000);
            CHECK(reads == 0);
        }
        call_with(number, 0x1000, 1000);
        CHECK(reads == 4);
        call_with(number, USER_END - 1, 1000);
        CHECK(reads == 1);
    }
}

int main(void)
{
    test_texts_lie_in_the_programs_half();
    puts("texts");
    return 0;
}
