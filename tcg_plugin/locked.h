/*
 * Locked read-modify-write instructions on a machine of several vCPUs. QEMU executes them by functions of its own
 * (accel/tcg/atomic_template.h, release 10.0), which report a load of what the function returned and a store of its
 * operand: of an addition the summand, of a failed compare-and-exchange the value that was not stored. What the
 * processor loads and stores follows from those two, the instruction, and for a comparison the accumulator.
 * tests/tcg_plugin/test_locked.py holds every form against a processor.
 */
#ifndef GB_LOCKED_H
#define GB_LOCKED_H

#include "opcode.h"
#include "state.h"

#pragma GCC visibility push(hidden)

/* Find QEMU's own code. Once, before memory is recorded. */
void find_own_code(void);

/* Userdata of the two below: which instruction of the block, its kind, whether values are recorded. */
static inline void *pack_locked(size_t instruction, gb_locked kind, bool valued)
{
    return (void *)(uintptr_t)(instruction << 16 | (uintptr_t)valued << 8 | (uintptr_t)kind);
}

/* An access of such an instruction. `caller` is where the callback returns to. */
void put_locked(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *packed, const void *caller);
qemu_plugin_vcpu_mem_cb_t on_locked;

#pragma GCC visibility pop

#endif
