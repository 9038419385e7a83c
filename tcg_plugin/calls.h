/*
 * System calls: what is recorded where a program enters its kernel, and where the kernel goes back to it. Userdata of on_call and
 * on_return is a GB_GATE.
 */
#ifndef GB_CALLS_H
#define GB_CALLS_H

#include "state.h"

#pragma GCC visibility push(hidden)

qemu_plugin_vcpu_udata_cb_t on_call;   /* before syscall, sysenter, int 0x80 */
qemu_plugin_vcpu_udata_cb_t on_return; /* before sysret, sysexit */
qemu_plugin_vcpu_udata_cb_t on_iret;   /* before iretq: of an interrupt more often than of a call */

#pragma GCC visibility pop

#endif
