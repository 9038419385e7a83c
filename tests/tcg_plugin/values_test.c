/* Unit tests of values.c: the one place that always agreed is found; none, several and one that cannot be read are not. */
#include "values.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST = 10000 };
static uint64_t words[GB_VALUE_WORDS + 1]; /* the registers begin behind them */
static const void *const registers = words + GB_VALUE_WORDS;

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

/* Accesses of all sizes whose value lies in word `place`, with garbage above it where the size is smaller. */
static unsigned search(gb_value_place *found, unsigned place, int also, unsigned narrow_only)
{
    for (unsigned turn = 1; turn <= MOST; turn++) {
        unsigned log2size = narrow_only ? (unsigned)(next_random() % 3) : (unsigned)(next_random() % 4);
        uint64_t value = next_random(), mask = log2size == 3 ? ~UINT64_C(0) : (UINT64_C(1) << (8 << log2size)) - 1;
        for (unsigned i = 0; i < GB_VALUE_WORDS; i++) {
            words[i] = i % 3 ? next_random() : 0;
        }
        if (place < GB_VALUE_WORDS) {
            words[place] = value;
        }
        if (also >= 0) {
            words[also] = value;
        }
        if (gb_value_seen(found, registers, log2size, value & mask)) {
            return turn;
        }
    }
    return 0;
}

static void test_the_place_that_agrees_is_found(void)
{
    for (unsigned place = 0; place < GB_VALUE_WORDS; place++) {
        gb_value_place found = {0};
        CHECK(search(&found, place, -1, 0) >= 2 * GB_VALUE_SAMPLES);
        CHECK(found.found == words + place && !found.failed);
        CHECK(gb_value_seen(&found, NULL, 3, 0) && found.found == words + place);
    }
    puts("place");
}

static void test_no_place_and_two_places_are_none(void)
{
    gb_value_place none = {0}, two = {0}, narrow = {0};
    CHECK(search(&none, GB_VALUE_WORDS, -1, 0) && none.failed && !none.found);
    CHECK(search(&two, 7, 9, 0) && two.failed && !two.found);
    CHECK(search(&narrow, 7, -1, 1) == 0 && !narrow.failed && !narrow.found);
    puts("none");
}

/* What translated code has in the register may be anything. */
static void test_registers_that_are_no_memory_end_the_search(void)
{
    uint8_t *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const void *bad[] = {(void *)(uintptr_t)8, (void *)UINTPTR_MAX, page + 64, (void *)(UINTPTR_MAX / 2)};
    CHECK(page != MAP_FAILED);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        gb_value_place found = {0};
        for (uint64_t value = 1; value < GB_VALUE_STARTS; value++) {
            CHECK(!gb_value_seen(&found, bad[i], 3, value));
        }
        CHECK(gb_value_seen(&found, bad[i], 3, 77) && found.failed && !found.found);
    }
    puts("bad");
}

/* QEMU's own functions come with something else in the register, the first of all accesses too. */
static void test_accesses_of_other_functions_are_passed_over(void)
{
    gb_value_place found = {0};
    uint64_t frame[GB_VALUE_WORDS + 1] = {0};
    bool over = false;
    for (unsigned turn = 0; turn < MOST && !over; turn++) {
        uint64_t value = next_random();
        words[11] = value;
        bool other = turn < 5 || turn % 3 == 0;
        over = gb_value_seen(&found, other ? (turn % 2 ? (void *)frame : frame + GB_VALUE_WORDS) : registers,
                             turn % 2 ? 3 : 0, turn % 2 ? value : value & 0xff);
    }
    CHECK(over && found.found == words + 11);
    puts("others");
}

int main(void)
{
    test_the_place_that_agrees_is_found();
    test_no_place_and_two_places_are_none();
    test_registers_that_are_no_memory_end_the_search();
    test_accesses_of_other_functions_are_passed_over();
    return 0;
}
