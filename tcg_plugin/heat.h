/* Counters per page of RAM: blocks executed, stores, and the last store. Independent of windows. */
#ifndef GB_HEAT_H
#define GB_HEAT_H

#include "state.h"

#pragma GCC visibility push(hidden)

extern bool heat_on;

/* Locate the arrays and forget translations of addresses. All vCPUs stand still; the daemon has just written each CR3. */
void heat_begin(void);

qemu_plugin_vcpu_udata_cb_t on_heat_block;    /* a block begins; page of RAM */
qemu_plugin_vcpu_udata_cb_t on_heat_root;     /* before mov cr3; the source register */
qemu_plugin_vcpu_udata_cb_t on_heat_remapped; /* before what may move a virtual page */
qemu_plugin_vcpu_mem_cb_t on_heat_store;      /* gb_writer.code of the instruction */

#pragma GCC visibility pop

#endif
