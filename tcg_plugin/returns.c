/* See returns.h. */
#include "returns.h"

#include "opcode.h"

static qemu_plugin_u64 count;

void returns_begin(void)
{
    count = (qemu_plugin_u64){qemu_plugin_scoreboard_new(sizeof(uint64_t)), 0};
}

uint64_t returns_count(void)
{
    return qemu_plugin_u64_get(count, 0);
}

/* Programs may have some of these, too: then it counts once more than needed. */
static bool is_return(opcode op)
{
    enum { IRET = 0xcf, RETF = 0xcb, RETF_POP = 0xca, ESCAPE = 0x0f, SYSRET = 0x07, SYSEXIT = 0x35, RSM = 0xaa };
    if (op.length > 1 && op.bytes[0] == ESCAPE) {
        return op.bytes[1] == SYSRET || op.bytes[1] == SYSEXIT || op.bytes[1] == RSM;
    }
    return op.length && (op.bytes[0] == IRET || op.bytes[0] == RETF || op.bytes[0] == RETF_POP);
}

void returns_translate(struct qemu_plugin_tb *tb)
{
    enum { MOST_BYTES = 15 };
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
        uint8_t bytes[MOST_BYTES];
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (is_return(find_opcode(bytes, (unsigned)qemu_plugin_insn_data(insn, bytes, sizeof bytes)))) {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, count, 1);
        }
    }
}
