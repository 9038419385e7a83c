/*
 * A plugin whose callbacks do nothing: what QEMU itself takes to call a plugin at each block, and with `memory=on` at each
 * access of memory, too. No plugin that is called there costs less. For bench/trace.py.
 */
#include <string.h>

#include "qemu_abi_v4.h"

GB_EXPORT int qemu_plugin_version = GB_API_BUILT_FOR;
GB_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

static bool is_memory_wanted;

static void on_block(unsigned vcpu, void *userdata)
{
    (void)vcpu, (void)userdata;
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata)
{
    (void)vcpu, (void)info, (void)address, (void)userdata;
}

static void on_translation(GB_OF_TRANSLATION)
{
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, NULL);
    for (size_t i = 0; is_memory_wanted && i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        is_memory_wanted |= strcmp(argv[i], "memory=on") == 0;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
