/* What is looked at when a kernel is to run: whether it may, and the registers that it takes and gives. */
#ifndef GB_ENTRY_H
#define GB_ENTRY_H

#include "paging.h"

#pragma GCC visibility push(hidden)

/*
 * Why the kernel of the loop, whose head the current vCPU stands at, may not run: a GB_REASON; GB_LEARNED_REASONS: nothing speaks
 * against it, and `paging` is that of the program.
 */
uint32_t gb_entry_objection(gb_paging *paging, const gb_learned *loop, uint64_t head, unsigned vcpu);

/* Whether an instruction of the loop is so far from its head. */
bool gb_entry_has_code(const gb_learned *loop, int64_t distance);

/* The registers in the mask; the others are 0. And those of them that differ from what was read `before`. */
void gb_entry_read(uint64_t mask, uint64_t registers[GB_LEARNED_REGISTERS]);
void gb_entry_write(uint64_t mask, const uint64_t before[GB_LEARNED_REGISTERS],
                    const uint64_t after[GB_LEARNED_REGISTERS]);

#pragma GCC visibility pop

#endif
