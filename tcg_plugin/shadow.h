/* A slice of a kernel's rounds, and its comparison with what QEMU makes of the same rounds. */
#ifndef GB_SHADOW_H
#define GB_SHADOW_H

#include "paging.h"

enum { SHADOW_ROUNDS = 48, SHADOW_STORES = 4096, SLICE_PAGES = 64 };

/* One call of a kernel: its pages are found in `paging`. */
typedef struct {
    gb_pages pages; /* first: kernels give its address */
    const gb_paging *paging;
    unsigned stored;
    struct {
        uint64_t physical, address; /* address: linear */
        uint8_t *page;
    } stores[SLICE_PAGES];
} gb_slice;

/* Rounds that QEMU does now, and what a kernel has made of them. */
typedef struct {
    uint64_t left; /* rounds that are still to come; 0: nothing is compared */
    uint64_t rounds, most; /* most: of the next comparison */
    uint64_t head, returns;
    uint64_t before[GB_LEARNED_REGISTERS], after[GB_LEARNED_REGISTERS];
    unsigned stores;
    struct {
        uint64_t address, value;
        uint64_t bytes;
    } stored[SHADOW_STORES];
} gb_shadow;

#pragma GCC visibility push(hidden)

/* `log` has room for SHADOW_STORES; `keeps`: stores of all rounds. At the end QEMU is told which pages were stored to. */
void gb_slice_begin(gb_slice *slice, const gb_paging *paging, gb_store *log, bool keeps);
void gb_slice_end(gb_slice *slice);

/* Have the kernel do some rounds, `shadow->most` of them, from these registers on, note what it made of them, take it back; false if it did none. */
bool gb_shadow_begin(gb_shadow *shadow, gb_learned_row *row, const gb_learned *loop, const gb_paging *paging,
                     const uint64_t registers[GB_LEARNED_REGISTERS], uint64_t head);

/*
 * QEMU has come to the head again, by so many passes. After the last round registers and stores are compared: false if they differ.
 * If the guest's kernel came between it is abandoned, for the program's memory may have been changed and another one have passed the head.
 */
bool gb_shadow_pass(gb_shadow *shadow, gb_learned_row *row, const gb_learned *loop, const gb_paging *paging,
                    const uint64_t registers[GB_LEARNED_REGISTERS], uint64_t passes);

/* What is under way is not compared; the next one is shorter, so that it comes to its end. */
void gb_shadow_abandon(gb_shadow *shadow, gb_learned_row *row);

#pragma GCC visibility pop

#endif
