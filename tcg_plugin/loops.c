/* See loops.h. */
#include "loops.h"

static qemu_plugin_u64 passes, since; /* since: passes since registers were read; per vCPU */

void loops_prepare(void)
{
    passes.score = since.score = qemu_plugin_scoreboard_new(2 * sizeof(uint64_t));
    since.offset = sizeof(uint64_t);
}

/* QEMU aborts when it is asked for a vCPU that it has not made yet. */
static unsigned made_vcpus(void)
{
    unsigned made = (unsigned)qemu_plugin_num_vcpus();
    return made < control->vcpus ? made : control->vcpus;
}

void loops_begin(void)
{
    for (unsigned vcpu = 0; features & GB_FEATURE_LOOPS && vcpu < control->vcpus; vcpu++) {
        vcpu_page(vcpu)->loop_passes = vcpu_page(vcpu)->loop_samples = 0;
        if (vcpu < made_vcpus()) {
            qemu_plugin_u64_set(passes, vcpu, 0);
            qemu_plugin_u64_set(since, vcpu, 0);
        }
    }
}

void loops_end(void)
{
    for (unsigned vcpu = 0; features & GB_FEATURE_LOOPS && vcpu < made_vcpus(); vcpu++) {
        vcpu_page(vcpu)->loop_passes = qemu_plugin_u64_get(passes, vcpu);
    }
}

static void on_loop(unsigned vcpu, void *unused)
{
    gb_vcpu *page = vcpu_page(vcpu);
    (void)unused;
    qemu_plugin_u64_set(since, vcpu, 0);
    for (unsigned which = GB_RAX; which <= GB_R15; which++) {
        page->loop_registers[which] = gb_guest_register((gb_register)which);
    }
    page->loop_passes = qemu_plugin_u64_get(passes, vcpu);
    __atomic_store_n(&page->loop_samples, page->loop_samples + 1, __ATOMIC_RELEASE);
}

void hook_loop(struct qemu_plugin_tb *tb, uint64_t address)
{
    if (address != control->loop_head) {
        return;
    }
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, passes, 1);
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, since, 1);
    qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_loop, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_COND_GE, since,
                                              control->loop_gate, NULL);
}
