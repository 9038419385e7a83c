/* See direction.h. */
#include "direction.h"

#include "opcode.h"

enum { DIRECTION = 1 << 10 };

static struct {
    bool forward, lost; /* lost: it will not be known any more */
    bool before;        /* iret: forward at its begin */
    uint64_t flags_at;  /* iret: where it loads flags from */
} states[GB_MAX_VCPUS];

bool direction_is_forward(unsigned vcpu)
{
    return states[vcpu].forward && !states[vcpu].lost;
}

void direction_forget(unsigned vcpu)
{
    states[vcpu].forward = false;
}

static void on_clear(unsigned vcpu, void *unused)
{
    (void)unused;
    states[vcpu].forward = true;
}

static void on_unknown(unsigned vcpu, void *unused)
{
    (void)unused;
    states[vcpu].forward = false;
}

static void on_virtual_machine(unsigned vcpu, void *unused)
{
    (void)unused;
    states[vcpu].lost = true;
}

static bool is_clear_in(qemu_plugin_meminfo_t info)
{
    return !(qemu_plugin_mem_get_value(info).data.u16 & DIRECTION);
}

/* popf cannot fail any more when it has loaded. */
static void on_popped(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    (void)address, (void)unused;
    states[vcpu].forward = is_clear_in(info);
}

/* iretq may load and fail nevertheless, and then flags stay as they are: it must have been 0 before as well. */
static void on_return(unsigned vcpu, void *unused)
{
    enum { FLAGS = 16 };
    (void)unused;
    states[vcpu].before = states[vcpu].forward;
    states[vcpu].forward = false;
    states[vcpu].flags_at = gb_guest_register(GB_RSP) + FLAGS;
}

static void on_returned(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    (void)unused;
    if (address == states[vcpu].flags_at) {
        states[vcpu].forward = states[vcpu].before && is_clear_in(info);
    }
}

static void on_system_return(unsigned vcpu, void *unused)
{
    (void)unused;
    states[vcpu].forward &= !(gb_guest_register(GB_R11) & DIRECTION);
}

static void hook(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t *each, enum qemu_plugin_cb_flags flags,
                 qemu_plugin_vcpu_mem_cb_t *loaded)
{
    qemu_plugin_register_vcpu_insn_exec_cb(insn, each, flags, NULL);
    if (loaded) {
        qemu_plugin_register_vcpu_mem_cb(insn, loaded, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
    }
}

static void hook_system(struct qemu_plugin_insn *insn, opcode op)
{
    enum { RSM = 0xaa, SYSRET = 0x07, MOV_TO_CR = 0x22, GROUP_7 = 0x01, VMRUN = 0xd8 };
    uint8_t modrm = op.length > 2 ? op.bytes[2] : 0;
    if (op.bytes[1] == SYSRET) {
        hook(insn, on_system_return, QEMU_PLUGIN_CB_R_REGS, NULL);
    } else if (op.bytes[1] == RSM || (op.bytes[1] == MOV_TO_CR && (modrm >> 3 & 7) == 0)) {
        hook(insn, on_unknown, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else if (op.bytes[1] == GROUP_7 && modrm == VMRUN) {
        hook(insn, on_virtual_machine, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
}

void direction_translate(struct qemu_plugin_tb *tb)
{
    enum { CLD = 0xfc, STD = 0xfd, POPF = 0x9d, IRET = 0xcf, ESCAPE = 0x0f, WIDE = 8, MOST_BYTES = 15 };
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
        uint8_t bytes[MOST_BYTES];
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        opcode op = find_opcode(bytes, (unsigned)qemu_plugin_insn_data(insn, bytes, sizeof bytes));
        if (!op.length) {
            continue;
        }
        if (op.bytes[0] == CLD) {
            hook(insn, on_clear, QEMU_PLUGIN_CB_NO_REGS, NULL);
        } else if (op.bytes[0] == STD) {
            hook(insn, on_unknown, QEMU_PLUGIN_CB_NO_REGS, NULL);
        } else if (op.bytes[0] == POPF) {
            hook(insn, on_unknown, QEMU_PLUGIN_CB_NO_REGS, on_popped);
        } else if (op.bytes[0] == IRET && op.rex & WIDE) {
            hook(insn, on_return, QEMU_PLUGIN_CB_R_REGS, on_returned);
        } else if (op.bytes[0] == IRET) {
            hook(insn, on_unknown, QEMU_PLUGIN_CB_NO_REGS, NULL);
        } else if (op.bytes[0] == ESCAPE && op.length > 1) {
            hook_system(insn, op);
        }
    }
}
