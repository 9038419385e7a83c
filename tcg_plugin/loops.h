/*
 * A hook at the head of one loop: it counts passes and, every `loop_gate` of them, reads the registers. It changes nothing: the
 * ground on which a kernel is compared with the loop. A pass is an execution of a block that starts at `loop_head`; the first
 * time round is none where the loop is entered from above, for the block then starts before it.
 */
#ifndef GB_LOOPS_H
#define GB_LOOPS_H

#include "state.h"

#pragma GCC visibility push(hidden)

/* Once, when the plugin is loaded. */
void loops_prepare(void);

/* A window opens, or closes; all vCPUs stand still. */
void loops_begin(void);
void loops_end(void);

/* `address` is where the block starts. */
void hook_loop(struct qemu_plugin_tb *tb, uint64_t address);

#pragma GCC visibility pop

#endif
