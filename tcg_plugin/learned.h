/*
 * Learned loops: kernels that do rounds of a guest's loop in place of QEMU's translation, or in its shadow. A hook counts passes
 * of the loop's head; when it has counted enough it calls, and what is called
 *   - makes sure that this is the loop, in a 64-bit program of a user, with nothing on that would see single instructions;
 *   - has the kernel do whole rounds, for a short time, on pages that it finds afresh and that the program may use so;
 *   - advances the registers, and returns: QEMU goes on at the loop's head and does at least the round that leaves the loop.
 * Each kernel proves itself in shadow first: its first rounds are taken back, QEMU does them, and both are compared. One that is not
 * proved stays there, unless that is asked for. While a loop is compared no other one runs in place past its head.
 * Only machines of one vCPU have learned loops, and not while a window is open or heat is counted.
 */
#ifndef GB_LEARNED_H
#define GB_LEARNED_H

#include "state.h"

#pragma GCC visibility push(hidden)

extern bool has_learned; /* loops were loaded */

/* Load the library of a loop at `path`; NULL, or what is wrong with it. Before the machine has vCPUs. */
const char *learned_load(const char *path);

/* A vCPU is there. */
void learned_begin(unsigned vcpu);

/* The vCPU stood still, and the guest may have been changed. */
void learned_resume(unsigned vcpu);

/* QEMU translates a block; `hooked`: it may get a hook. */
void learned_translate(struct qemu_plugin_tb *tb, bool hooked);

#pragma GCC visibility pop

#endif
