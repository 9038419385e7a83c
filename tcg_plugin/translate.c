/* See translate.h. */
#include "translate.h"

#include "blocks.h"
#include "calls.h"
#include "heat.h"
#include "hooks.h"
#include "learned.h"
#include "locked.h"
#include "loops.h"
#include "memory.h"
#include "opcode.h"

/*
 * A kernel starts in an identity map and goes on in the upper half, where QEMU reuses what it translated below. Until it has
 * loaded a page table from up there every block is asked where it runs; later only what was first seen below.
 */
static bool is_movable(const gb_block *block)
{
    return block->ring == 0 && block->mode == 64 && !(identity_map_left && block->address >> 63) && block->offset != GB_NO_OFFSET;
}

static bool is_wanted(const gb_block *block)
{
    uint32_t scope = block->ring == 3 ? GB_SCOPE_USER : GB_SCOPE_KERNEL;
    bool in_range = control->range_count == 0;
    for (unsigned i = 0; i < control->range_count; i++) {
        in_range |= block->address >= control->ranges[i].start && block->address < control->ranges[i].end;
    }
    return in_range && control->scope & scope;
}

static void hook_call(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t *hook, gb_gate gate)
{
    qemu_plugin_register_vcpu_insn_exec_cb(insn, hook, QEMU_PLUGIN_CB_R_REGS, (void *)(uintptr_t)gate);
}

static void hook_instruction(struct qemu_plugin_insn *insn, opcode op, uint8_t mode)
{
    if (op.length >= 2 && op.bytes[0] == 0xcd && op.bytes[1] == 0x80) {
        hook_call(insn, on_call, GB_GATE_INT_80);
    } else if (op.length == 1 && op.bytes[0] == 0xcf && op.rex & REX_W) {
        hook_call(insn, on_iret, GB_GATE_SYSCALL);
    }
    if (op.length < 2 || op.bytes[0] != 0x0f) {
        return;
    }
    uint8_t modrm = op.length > 2 ? op.bytes[2] : 0;
    if (is_root_load(op)) {
        uintptr_t source = source_of(op);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_page_table, QEMU_PLUGIN_CB_R_REGS, (void *)source);
    } else if (op.bytes[1] == 0x05 || op.bytes[1] == 0x07) {
        hook_call(insn, op.bytes[1] == 0x05 ? on_call : on_return, mode == 32 ? GB_GATE_SYSCALL_32 : GB_GATE_SYSCALL);
    } else if (op.bytes[1] == 0x34 || op.bytes[1] == 0x35) {
        hook_call(insn, op.bytes[1] == 0x34 ? on_call : on_return, GB_GATE_SYSENTER);
    } else if ((op.bytes[1] == 0x01 && op.length > 2 && (modrm >> 3 & 7) == 7 && modrm < 0xc0) ||
               (op.bytes[1] == 0x38 && modrm == 0x82)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invalidation, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else if (op.bytes[1] == 0x01 && op.length > 2 && (modrm >> 3 & 7) == 3 && modrm < 0xc0) {
        qemu_plugin_register_vcpu_mem_cb(insn, on_lidt, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
    }
}

static void hook_access(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_mem_cb_t *hook, enum qemu_plugin_cb_flags flags,
                        void *userdata)
{
    qemu_plugin_register_vcpu_mem_cb(insn, hook, flags, QEMU_PLUGIN_MEM_RW, userdata);
}

static void hook_memory(struct qemu_plugin_tb *tb, const gb_block *block, bool watched)
{
    const uint8_t *lengths = (const uint8_t *)(block + 1), *bytes = lengths + block->instructions;
    bool valued = features & GB_FEATURE_VALUES, one = control->vcpus == 1;
    if (!(features & (GB_FEATURE_MEMORY | GB_FEATURE_VALUES))) {
        return;
    }
    qemu_plugin_vcpu_mem_cb_t *usual = watched ? on_access_single : memory_hook(valued);
    for (size_t i = 0; i < block->instructions; bytes += lengths[i++]) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        gb_locked kind = locked_kind(bytes, lengths[i], block->mode);
        /* With one vCPU translated code executes them all, and only loads twice for a negation. */
        if (kind == GB_LOCKED_NEGATE || (kind != GB_LOCKED_NONE && !one)) {
            hook_access(insn, watched ? on_locked_single : on_locked, QEMU_PLUGIN_CB_R_REGS, pack_locked(i, kind, valued));
        } else {
            void *userdata = watched ? (void *)(uintptr_t)valued : pack_access(i, valued);
            hook_access(insn, usual, QEMU_PLUGIN_CB_NO_REGS, userdata);
        }
    }
}

static void hook_root_free(struct qemu_plugin_tb *tb, const gb_block *block)
{
    if (control->root_count && block->address == control->root_free_address) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_root_free, QEMU_PLUGIN_CB_R_REGS, NULL);
    }
}

/* Hooks that only some blocks need; called before the one that stores the id, so their events come first. */
static void hook_start(struct qemu_plugin_tb *tb, gb_block *block)
{
    enum { RESET_VECTOR = 0xfffffff0 };
    if (block->address == RESET_VECTOR && block->mode == 16) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_start_of_machine, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
    if (block->ring == 0 && features & GB_FEATURE_EVENTS) {
        pthread_mutex_lock(&lock);
        int vector = gb_gates_find(control->vcpus, block->address, block->mode);
        pthread_mutex_unlock(&lock);
        if (vector >= 0) {
            uintptr_t packed = (uintptr_t)vector << 8 | block->mode;
            block->flags |= GB_BLOCK_GATE;
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_exception, QEMU_PLUGIN_CB_R_REGS, (void *)packed);
        }
    }
    for (unsigned i = 0; features & GB_FEATURE_REGISTERS && is_wanted(block) && i < control->point_count; i++) {
        if (control->points[i] == block->address) {
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_registers, QEMU_PLUGIN_CB_R_REGS, NULL);
        }
    }
}

/* Hooks on single instructions. True if the block is one instruction that is watched for a second try. */
static bool hook_instructions(struct qemu_plugin_tb *tb, gb_block *block)
{
    const uint8_t *lengths = (const uint8_t *)(block + 1), *bytes = lengths + block->instructions;
    bool events = features & GB_FEATURE_EVENTS, verify = features & GB_FEATURE_VERIFY;
    for (size_t i = 0; i < block->instructions; bytes += lengths[i++]) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        opcode op = skip_prefixes(bytes, lengths[i], block->mode);
        if (verify) {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, begun, 1);
        }
        if (events) {
            hook_instruction(insn, op, block->mode);
        }
        if (!identity_map_left && block->address >> 63 && is_root_load(op)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_identity_map_left, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (block->flags & GB_BLOCK_MOVABLE && i + 1 == block->instructions && may_leave_map(op)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invalidation, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (verify && i + 1 == block->instructions && jumps_inside(block, op)) {
            block->flags |= GB_BLOCK_MARKED;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_block_end, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
    }
    if (events && block->instructions == 1) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, 0), on_retry, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)block->address);
        return true;
    }
    return false;
}

static void hook_id(struct qemu_plugin_tb *tb, const gb_block *block, uint32_t id, bool watched)
{
    bool one = control->vcpus == 1;
    if (block->flags & GB_BLOCK_MOVABLE && !identity_map_left) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_invalidation, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
    if ((block->ring == 3 || block->flags & GB_BLOCK_MOVABLE) && block->offset >> PAGE_SHIFT < control->heat_pages) {
        uintptr_t packed = (uintptr_t)(block->offset >> PAGE_SHIFT) << 32 | id;
        qemu_plugin_vcpu_udata_cb_t *usual = one ? on_user_block_of_one : on_user_block;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched ? on_user_block_single : usual, QEMU_PLUGIN_CB_R_REGS,
                                             (void *)packed);
    } else {
        qemu_plugin_vcpu_udata_cb_t *usual = one ? on_block_of_one : on_block;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched ? on_block_single : usual, QEMU_PLUGIN_CB_NO_REGS,
                                             (void *)(uintptr_t)id);
    }
}

/* Counts instructions for `start` or `limit`; what is due then is called before the block that comes too late. */
static void hook_count(struct qemu_plugin_tb *tb, const gb_block *block, qemu_plugin_vcpu_udata_cb_t *due, uint64_t at)
{
    qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, due, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_GE, executed, at, NULL);
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, executed, block->instructions);
}

/* Armed, but the window is not open yet: nothing is recorded, only page tables and gates are kept track of. */
static void hook_trigger(struct qemu_plugin_tb *tb, const gb_block *block)
{
    const uint8_t *lengths = (const uint8_t *)(block + 1), *bytes = lengths + block->instructions;
    uint64_t address = block->address;
    if (!control->trigger_hits) {
        hook_count(tb, block, on_start_count, control->start_instructions);
    }
    for (size_t i = 0; i < block->instructions; address += lengths[i], bytes += lengths[i++]) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (control->trigger_hits && address == control->trigger_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_trigger, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (features & GB_FEATURE_EVENTS) {
            hook_instruction(insn, skip_prefixes(bytes, lengths[i], block->mode), block->mode);
        }
    }
}

/* Instructions after which a virtual page may lie elsewhere. */
static void hook_remap(struct qemu_plugin_insn *insn, opcode op)
{
    if (op.length < 3 || op.bytes[0] != 0x0f) {
        return;
    }
    uint8_t kind = op.bytes[2] >> 3 & 7;
    if (is_root_load(op)) {
        uintptr_t source = source_of(op);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_heat_root, QEMU_PLUGIN_CB_R_REGS, (void *)source);
    } else if (op.bytes[1] == 0x22 || (op.bytes[1] == 0x01 && kind == 7) || (op.bytes[1] == 0x38 && op.bytes[2] == 0x82)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_heat_remapped, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
}

/* How gb_writer names the instruction at linear `address` of the block. */
static uint64_t code_of(const gb_block *block, uint64_t address)
{
    if (address >> 63) {
        return address;
    }
    bool same = (address ^ block->address) >> PAGE_SHIFT == 0;
    uint64_t offset = same ? block->offset : block->offset2;
    return offset == GB_NO_OFFSET ? offset : (offset & ~(uint64_t)(GB_PAGE_BYTES - 1)) | (address & (GB_PAGE_BYTES - 1));
}

static void hook_heat(struct qemu_plugin_tb *tb, const gb_block *block)
{
    const uint8_t *lengths = (const uint8_t *)(block + 1), *bytes = lengths + block->instructions;
    uint64_t address = block->address;
    if (block->offset != GB_NO_OFFSET && block->offset >> PAGE_SHIFT < control->heat_pages) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_heat_block, QEMU_PLUGIN_CB_NO_REGS,
                                             (void *)(uintptr_t)(block->offset >> PAGE_SHIFT));
    }
    for (size_t i = 0; i < block->instructions; address += lengths[i], bytes += lengths[i++]) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        hook_remap(insn, skip_prefixes(bytes, lengths[i], block->mode));
        qemu_plugin_register_vcpu_mem_cb(insn, on_heat_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
                                         (void *)(uintptr_t)code_of(block, address));
    }
}

void on_translation(GB_OF_TRANSLATION)
{
    gb_record_buffer buffer;
    if (has_learned) {
        learned_translate(tb, !armed && !heat_on);
    }
    if (!armed && !heat_on) {
        return;
    }
    gb_block *block = describe_block(tb, &buffer);
    if (heat_on) {
        hook_heat(tb, block);
    }
    if (!armed) {
        return;
    }
    __atomic_add_fetch(&control->translations, 1, __ATOMIC_RELAXED);
    hook_root_free(tb, block);
    if (!opened) {
        hook_trigger(tb, block);
        return;
    }
    if (control->limit_instructions) {
        hook_count(tb, block, on_limit, control->limit_instructions);
    }
    if (features & GB_FEATURE_LOOPS) {
        hook_loop(tb, block->address);
    }
    if (!(features & GB_FEATURE_BLOCKS)) {
        return;
    }
    block->flags |= is_movable(block) ? GB_BLOCK_MOVABLE : 0;
    hook_start(tb, block);
    bool watched = hook_instructions(tb, block);
    if (!is_wanted(block)) {
        uintptr_t packed = block->instructions | (uintptr_t)watched << 16;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_left_out, QEMU_PLUGIN_CB_NO_REGS, (void *)packed);
        return;
    }
    uint32_t number = assign_id(block);
    if (!number) {
        close_from_vcpu(GB_STOP_LIMIT, "QEMU has no memory to name more blocks; trace a smaller part");
        return;
    }
    hook_id(tb, block, number, watched);
    hook_memory(tb, block, watched);
}
