/*
 * Whether the direction flag of a vCPU is known to be 0. Plugins do not get it: QEMU keeps it beside the other flags. So the
 * instructions that load it are hooked, which are rare. What is not known counts as set:
 *   - after a vCPU stood still, for a debugger or a snapshot may have changed it;
 *   - after `mov cr0`, so that long mode, which has no task switches, begins with nothing known;
 *   - after a system-management interrupt, and for good after a virtual machine has run.
 * `syscall` and interrupts may clear the flag, and never set it.
 */
#ifndef GB_DIRECTION_H
#define GB_DIRECTION_H

#include "state.h"

#pragma GCC visibility push(hidden)

bool direction_is_forward(unsigned vcpu);
void direction_forget(unsigned vcpu);

/* QEMU translates a block: hook its instructions that load the flag. */
void direction_translate(struct qemu_plugin_tb *tb);

#pragma GCC visibility pop

#endif
