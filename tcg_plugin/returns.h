/*
 * How often the guest has come back from its kernel. While the number stays the same a program has run on and nothing was in between:
 * no interrupt, no signal's handler, no other thread or process. For machines of one vCPU.
 */
#ifndef GB_RETURNS_H
#define GB_RETURNS_H

#include "state.h"

#pragma GCC visibility push(hidden)

/* Before the machine has vCPUs. */
void returns_begin(void);

/* QEMU translates a block: what comes back from a kernel, or from the firmware's management of the system, is counted. */
void returns_translate(struct qemu_plugin_tb *tb);

uint64_t returns_count(void);

#pragma GCC visibility pop

#endif
