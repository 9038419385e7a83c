/*
 * Callbacks while the guest runs. on_block is the hot one; all others hang on rare instructions. Userdata is an id, or what
 * each declaration says. `_of_one` variants serve a machine of one vCPU, `_single` variants blocks of one instruction.
 */
#ifndef GB_HOOKS_H
#define GB_HOOKS_H

#include "state.h"

#pragma GCC visibility push(hidden)

/* A block begins: kernel code (id), user code (page of RAM << 32 | id), filtered out (is_single << 16 | instructions). */
qemu_plugin_vcpu_udata_cb_t on_block, on_block_of_one, on_block_single;
qemu_plugin_vcpu_udata_cb_t on_user_block, on_user_block_of_one, on_user_block_single, on_left_out;
qemu_plugin_vcpu_udata_cb_t on_exception;        /* first block of a handler; vector << 8 | mode */
qemu_plugin_vcpu_udata_cb_t on_start_of_machine; /* block at the reset vector */
qemu_plugin_vcpu_udata_cb_t on_registers;        /* block in `points` */
qemu_plugin_vcpu_udata_cb_t on_root_free;        /* block at `root_free_address` */

/* A single-instruction block accesses memory: retried after device access (address); recorded (valued; as pack_locked). */
qemu_plugin_vcpu_mem_cb_t on_retry, on_access_single, on_locked_single;

/* Before an instruction. */
qemu_plugin_vcpu_udata_cb_t on_page_table;   /* mov cr3; the source register */
qemu_plugin_vcpu_udata_cb_t on_invalidation; /* invlpg, invpcid: a virtual page may have moved */
qemu_plugin_vcpu_udata_cb_t on_identity_map_left;
qemu_plugin_vcpu_udata_cb_t on_block_end;    /* last instruction of a marked block */
qemu_plugin_vcpu_mem_cb_t on_lidt;

/* The window's conditions. */
qemu_plugin_vcpu_udata_cb_t on_trigger, on_start_count, on_limit;

#pragma GCC visibility pop

#endif
