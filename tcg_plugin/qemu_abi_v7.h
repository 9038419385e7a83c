/*
 * What version 7 of QEMU's plugin interface (QEMU 11.1) changes: callbacks of a whole plugin get no id any more, but
 * userdata, which is given when they are registered. QEMU 11.1 loads no plugin of an older version. Included by
 * qemu_abi_v4.h, which has what all versions have in common.
 */
#ifndef GB_QEMU_ABI_V7_H
#define GB_QEMU_ABI_V7_H

enum { GB_API_BUILT_FOR = 7, GB_API_NEWEST = 7 };
#define GB_API_RELEASES "11.1"

typedef void qemu_plugin_udata_cb_t(void *userdata);
typedef void qemu_plugin_vcpu_tb_trans_cb_t(struct qemu_plugin_tb *tb, void *userdata);

#define GB_OF_RESET __attribute__((unused)) void *userdata
#define GB_OF_EXIT GB_OF_RESET
#define GB_OF_VCPU __attribute__((unused)) unsigned vcpu, GB_OF_RESET
#define GB_OF_TRANSLATION struct qemu_plugin_tb *tb, GB_OF_RESET

void qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_udata_cb_t *cb, void *userdata);
void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t *cb, void *userdata);
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t *cb, void *userdata);
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t *cb, void *userdata);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t *cb, void *userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t *cb, void *userdata);

/* The plugin has no use for userdata here, so it is written as for the older versions. */
#define qemu_plugin_reset(id, cb) qemu_plugin_reset(id, cb, NULL)
#define qemu_plugin_register_vcpu_init_cb(id, cb) qemu_plugin_register_vcpu_init_cb(id, cb, NULL)
#define qemu_plugin_register_vcpu_idle_cb(id, cb) qemu_plugin_register_vcpu_idle_cb(id, cb, NULL)
#define qemu_plugin_register_vcpu_resume_cb(id, cb) qemu_plugin_register_vcpu_resume_cb(id, cb, NULL)
#define qemu_plugin_register_vcpu_tb_trans_cb(id, cb) qemu_plugin_register_vcpu_tb_trans_cb(id, cb, NULL)

#endif
