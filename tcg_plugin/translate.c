/* What happens when QEMU translates a block: it gets its id, and the hooks that it needs. */
#include <string.h>
#include <unistd.h>

#include "plugin.h"

enum { MAX_INSTRUCTIONS = 512, MAX_BYTES = MAX_INSTRUCTIONS * 15 };

static gb_names names;

typedef struct {
    _Alignas(8) uint8_t bytes[sizeof(gb_block) + MAX_INSTRUCTIONS + MAX_BYTES + 8];
} record_space;

/* The record of a block, without id and flags, put together in `space`. */
static gb_block *describe(const struct qemu_plugin_tb *tb, record_space *space)
{
    gb_block *block = (gb_block *)space->bytes;
    size_t count = qemu_plugin_tb_n_insns(tb);
    count = count > MAX_INSTRUCTIONS ? MAX_INSTRUCTIONS : count;
    uint8_t *lengths = (uint8_t *)(block + 1), *bytes = lengths + count;
    uint64_t inode = control->ram_inode;
    *block = (gb_block){
        .address = qemu_plugin_tb_vaddr(tb),
        .offset = gb_guest_ram_offset(qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)), inode),
        .offset2 = GB_NO_OFFSET,
        .instructions = (uint16_t)count,
    };
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = block->address + block->bytes;
        if (i && (address ^ block->address) >> PAGE_SHIFT && block->offset2 == GB_NO_OFFSET) {
            uint64_t offset = gb_guest_ram_offset(qemu_plugin_insn_haddr(insn), inode);
            block->offset2 = offset == GB_NO_OFFSET ? offset : offset & ~(uint64_t)(GB_PAGE_BYTES - 1);
        }
        lengths[i] = (uint8_t)qemu_plugin_insn_data(insn, bytes + block->bytes, 15);
        block->bytes = (uint16_t)(block->bytes + lengths[i]);
    }
    block->mode = gb_guest_mode();
    block->ring = block->mode == 16 ? 0 : gb_guest_register(GB_CS) & 3;
    block->size = (uint32_t)(sizeof *block + count + block->bytes + 7) & ~7u;
    memset(bytes + block->bytes, 0, block->size - sizeof *block - count - block->bytes);
    return block;
}

/*
 * A kernel starts in an identity map and goes on in the upper half, where QEMU reuses what it translated below. Until it has
 * loaded a page table from up there every block is asked where it runs; later only what was first seen below.
 */
static bool is_movable(const gb_block *block)
{
    return block->ring == 0 && block->mode == 64 && !(settled && block->address >> 63) && block->offset != GB_NO_OFFSET;
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

/* Give the dictionary's record to the reader; waits while it is full, for without it the ids mean nothing. */
static void publish_record(const gb_block *record)
{
    gb_dictionary *ring = (gb_dictionary *)(file + control->dictionary_offset);
    uint8_t *bytes = (uint8_t *)(ring + 1);
    for (unsigned turns = 1; !gb_dictionary_put(ring, bytes, control->dictionary_bytes, record); turns++) {
        usleep(50);
        if (turns % 2000 == 0 && !keep_waiting(NULL)) {
            if (!__atomic_load_n(&closing, __ATOMIC_ACQUIRE)) {
                close_from_vcpu(GB_STOP_READER_DIED, "nobody reads the dictionary; start the reader again and arm anew");
            }
            return;
        }
    }
}

/* The id of `block`, whose record the reader has before this returns; 0: no memory. */
static uint32_t name(gb_block *block)
{
    uint32_t id = 0;
    pthread_mutex_lock(&lock);
    gb_entry *entry = gb_names_find(&names, block);
    if (entry) {
        id = entry->record->id;
        block->flags |= entry->record->flags & GB_BLOCK_MOVABLE;
        control->id_count = names.count;
        if (entry->window != control->window || entry->record->flags != block->flags) {
            entry->window = control->window;
            entry->record->flags = block->flags;
            publish_record(entry->record);
        }
    }
    pthread_mutex_unlock(&lock);
    return id;
}

/* The opcode of an instruction: its first bytes after legacy prefixes and REX. */
typedef struct {
    const uint8_t *bytes;
    unsigned length;
    uint8_t rex;
} opcode;

static opcode skip_prefixes(const uint8_t *bytes, unsigned length, uint8_t mode)
{
    opcode found = {bytes, length, 0};
    while (found.length && strchr("\x66\x67\xf0\xf2\xf3\x2e\x36\x3e\x26\x64\x65", *found.bytes) && *found.bytes) {
        found.bytes++, found.length--;
    }
    if (mode == 64 && found.length && (*found.bytes & 0xf0) == 0x40) {
        found.rex = *found.bytes++, found.length--;
    }
    return found;
}

/* The register whose value `mov cr, reg` loads. */
static uintptr_t source_of(opcode op)
{
    /* Encoded as RAX RCX RDX RBX RSP RBP RSI RDI. */
    static const uint8_t order[8] = {GB_RAX, GB_RCX, GB_RDX, GB_RBX, GB_RSP, GB_RBP, GB_RSI, GB_RDI};
    return op.rex & 1 ? GB_R8 + (op.bytes[2] & 7u) : order[op.bytes[2] & 7];
}

static bool is_root_load(opcode op)
{
    return op.length > 2 && op.bytes[0] == 0x0f && op.bytes[1] == 0x22 && (op.bytes[2] >> 3 & 7) == 3 && !(op.rex & 4);
}

static bool may_leave_map(opcode op)
{
    uint8_t kind = op.length > 1 ? op.bytes[1] >> 3 & 7 : 0;
    return op.length && ((op.bytes[0] == 0xff && (kind == 4 || kind == 5)) || op.bytes[0] == 0xca || op.bytes[0] == 0xcb);
}

static void hook_instruction(struct qemu_plugin_insn *insn, opcode op)
{
    if (op.length < 2 || op.bytes[0] != 0x0f) {
        return;
    }
    uint8_t modrm = op.length > 2 ? op.bytes[2] : 0;
    if (op.bytes[1] == 0x22 && op.length > 2 && (modrm >> 3 & 7) == 3 && !(op.rex & 4)) {
        uintptr_t source = source_of(op);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_page_table, QEMU_PLUGIN_CB_R_REGS, (void *)source);
    } else if (op.bytes[1] == 0x05 || op.bytes[1] == 0x07) {
        uintptr_t type = op.bytes[1] == 0x05 ? GB_EVENT_SYSCALL : GB_EVENT_SYSRET;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_syscall, QEMU_PLUGIN_CB_R_REGS, (void *)type);
    } else if ((op.bytes[1] == 0x01 && op.length > 2 && (modrm >> 3 & 7) == 7 && modrm < 0xc0) ||
               (op.bytes[1] == 0x38 && modrm == 0x82)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_invalidation, QEMU_PLUGIN_CB_NO_REGS, NULL);
    } else if (op.bytes[1] == 0x01 && op.length > 2 && (modrm >> 3 & 7) == 3 && modrm < 0xc0) {
        qemu_plugin_register_vcpu_mem_cb(insn, on_lidt, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
    }
}

/* Whether a direct jump at the end of the block leads strictly into its middle. */
static bool jumps_inside(const gb_block *block, opcode op)
{
    int64_t distance;
    if (op.length >= 2 && ((op.bytes[0] & 0xf0) == 0x70 || (op.bytes[0] & 0xfc) == 0xe0 || op.bytes[0] == 0xeb)) {
        distance = (int8_t)op.bytes[1];
    } else if (op.length >= 5 && (op.bytes[0] == 0xe9 || (op.bytes[0] == 0x0f && (op.bytes[1] & 0xf0) == 0x80))) {
        int32_t wide;
        memcpy(&wide, op.bytes + op.length - 4, 4);
        distance = wide;
    } else {
        return false;
    }
    int64_t target = (int64_t)block->bytes + distance;
    return target > 0 && target < (int64_t)block->bytes;
}

static void hook_memory(struct qemu_plugin_tb *tb, const gb_block *block, bool watched)
{
    bool valued = features & GB_FEATURE_VALUES;
    if (!(features & (GB_FEATURE_MEMORY | GB_FEATURE_VALUES))) {
        return;
    }
    if (watched) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, 0), on_access_alone, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)valued);
        return;
    }
    qemu_plugin_vcpu_mem_cb_t *hook = memory_hook(valued);
    for (size_t i = 0; i < block->instructions; i++) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), hook, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)(i << 16));
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
            hook_instruction(insn, op);
        }
        if (!settled && block->address >> 63 && is_root_load(op)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_settled, QEMU_PLUGIN_CB_NO_REGS, NULL);
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
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, 0), on_memory_alone, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)block->address);
        return true;
    }
    return false;
}

static void hook_id(struct qemu_plugin_tb *tb, const gb_block *block, uint32_t id, bool watched)
{
    bool one = control->vcpus == 1;
    if (block->flags & GB_BLOCK_MOVABLE && !settled) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_invalidation, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
    if ((block->ring == 3 || block->flags & GB_BLOCK_MOVABLE) && block->offset >> PAGE_SHIFT < control->heat_pages) {
        uintptr_t packed = (uintptr_t)(block->offset >> PAGE_SHIFT) << 32 | id;
        qemu_plugin_vcpu_udata_cb_t *usual = one ? on_user_block_of_one : on_user_block;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched ? on_user_block_alone : usual, QEMU_PLUGIN_CB_R_REGS,
                                             (void *)packed);
    } else {
        qemu_plugin_vcpu_udata_cb_t *usual = one ? on_block_of_one : on_block;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched ? on_block_alone : usual, QEMU_PLUGIN_CB_NO_REGS,
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
        hook_count(tb, block, on_enough_to_start, control->start_instructions);
    }
    for (size_t i = 0; i < block->instructions; address += lengths[i], bytes += lengths[i++]) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (control->trigger_hits && address == control->trigger_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_trigger, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (features & GB_FEATURE_EVENTS) {
            hook_instruction(insn, skip_prefixes(bytes, lengths[i], block->mode));
        }
    }
}

/* Instructions after which a virtual page may lie elsewhere. */
static void hook_move(struct qemu_plugin_insn *insn, opcode op)
{
    if (op.length < 3 || op.bytes[0] != 0x0f) {
        return;
    }
    uint8_t kind = op.bytes[2] >> 3 & 7;
    if (op.bytes[1] == 0x22 && kind == 3 && !(op.rex & 4)) {
        uintptr_t source = source_of(op);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_heat_root, QEMU_PLUGIN_CB_R_REGS, (void *)source);
    } else if (op.bytes[1] == 0x22 || (op.bytes[1] == 0x01 && kind == 7) || (op.bytes[1] == 0x38 && op.bytes[2] == 0x82)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_heat_moved, QEMU_PLUGIN_CB_NO_REGS, NULL);
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
        hook_move(insn, skip_prefixes(bytes, lengths[i], block->mode));
        qemu_plugin_register_vcpu_mem_cb(insn, on_heat_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
                                         (void *)(uintptr_t)code_of(block, address));
    }
}

void on_translation(GB_OF_TRANSLATION)
{
    record_space space;
    if (!armed && !heat_on) {
        return;
    }
    gb_block *block = describe(tb, &space);
    if (heat_on) {
        hook_heat(tb, block);
    }
    if (!armed) {
        return;
    }
    __atomic_add_fetch(&control->translations, 1, __ATOMIC_RELAXED);
    if (!opened) {
        hook_trigger(tb, block);
        return;
    }
    if (control->limit_instructions) {
        hook_count(tb, block, on_enough, control->limit_instructions);
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
    uint32_t number = name(block);
    if (!number) {
        close_from_vcpu(GB_STOP_LIMIT, "QEMU has no memory to name more blocks; trace a smaller part");
        return;
    }
    hook_id(tb, block, number, watched);
    hook_memory(tb, block, watched);
}
