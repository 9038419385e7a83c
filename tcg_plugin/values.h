/*
 * Where QEMU keeps the value of an access. Its interface hands out 64 bits; translated code has stored 32 of them an
 * instant before, if no more were accessed, and a processor that loads more than the last store wrote waits until
 * that has left its store buffer: two thirds of what a value costs. Loads of the size that was stored do not wait.
 *
 * The value lies a few words below the vCPU's registers (CPUNegativeOffsetState, include/hw/core/cpu.h of QEMU
 * 10.0), whose address translated code has in rbp on x86-64 hosts (TCG_AREG0, tcg/i386/tcg-target.h). This is no part of
 * the plugin interface. So the place is searched for by comparing memory with the values that QEMU reports for many
 * accesses, and used only if all of them agreed. No QEMU in here: tests/tcg_plugin compiles it alone.
 */
#ifndef GB_VALUES_H
#define GB_VALUES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    GB_VALUE_WORDS = 64,   /* of 64 bits below the registers, that are looked at */
    GB_VALUE_SAMPLES = 32, /* wide ones and narrow ones, each unlike the one before */
    GB_VALUE_STARTS = 32,  /* with other registers, before the search is given up */
};

/* The search on one vCPU; begins as zeros. */
typedef struct {
    const void *found;  /* the place, NULL while it is not known */
    const void *below;  /* the registers */
    uint64_t last;
    uint64_t candidates; /* a bit for each word: agreed so far */
    unsigned wide, narrow;
    unsigned others;    /* accesses that came with other registers */
    unsigned starts;
    bool failed;        /* there is none; the search is over */
} gb_value_place;

/*
 * One more access: QEMU says that it was of 2^log2size bytes (0 to 3) and had `value`. `below` need not be an address of
 * anything: the accesses of QEMU's own functions, atomic ones among them, come with whatever these keep in that register.
 * True once the search is over, found or failed.
 */
bool gb_value_seen(gb_value_place *place, const void *below, unsigned log2size, uint64_t value);

#endif
