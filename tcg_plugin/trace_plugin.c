/*
 * The plugin that QEMU loads with every machine: disarmed it hooks nothing but a vCPU's rest and awakening.
 *
 * Arming and disarming go through the shared file (trace_abi.h). The daemon writes what it wants, raises
 * `generation`, and stops and continues the machine, so that every vCPU awakes; whoever awakes first sees the new
 * generation and asks QEMU for a reset, which drops every hook, throws away all translated code and calls on_reset
 * while all vCPUs stand still. Code is then translated anew, with the hooks that are wanted now.
 *
 * An executed block costs one call that stores its id (on_block). Everything else hangs on rare instructions and
 * is decided when code is translated.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dictionary.h"
#include "guest.h"
#include "ring.h"

GB_EXPORT int qemu_plugin_version = GB_API_BUILT_FOR;
GB_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

enum { MAX_INSTRUCTIONS = 512, MAX_BYTES = MAX_INSTRUCTIONS * 15, PAGE_SHIFT = 12 };

static qemu_plugin_id_t plugin_id;
static uint8_t *file;
static gb_control *control;
static uint32_t generation; /* the last one seen */
static bool armed, closing;
static uint32_t features, stop_reason;
static uint64_t deadline_ns;
static gb_ring rings[GB_MAX_VCPUS];
static struct alone {
    const uint32_t *cursor;
    uint64_t sequence;
} alone[GB_MAX_VCPUS]; /* where a block of one instruction left its ring */
static gb_names names;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of names, the dictionary's ring and the gates */
static qemu_plugin_u64 begun;                            /* VERIFY: instructions, per vCPU */
static qemu_plugin_u64 executed;                         /* of whole blocks, per vCPU: for start and limit */
static bool trigger_came;
static bool opened;        /* the window is open, not only armed: its trigger has come */
static uint32_t hits_left; /* of trigger_address */

static gb_vcpu *vcpu_page(unsigned vcpu)
{
    return (gb_vcpu *)(file + GB_PAGE_BYTES) + vcpu;
}

/* VERIFY: instructions begun on a vCPU since it was made; QEMU aborts when it is asked too early. */
static uint64_t begun_on(unsigned vcpu)
{
    bool known = features & GB_FEATURE_VERIFY && vcpu < (unsigned)qemu_plugin_num_vcpus();
    return known ? qemu_plugin_u64_get(begun, vcpu) : 0;
}

static void put_64(uint32_t *words, uint64_t value)
{
    words[0] = (uint32_t)value;
    words[1] = (uint32_t)(value >> 32);
}

static void event_64(gb_ring *ring, unsigned type, unsigned small, uint64_t value)
{
    uint32_t payload[2];
    put_64(payload, value);
    gb_ring_event(ring, type, small, payload, 2);
}

static void set_state(uint32_t state)
{
    __atomic_store_n(&control->state, state, __ATOMIC_RELEASE);
}

static void fail(const char *sentence)
{
    snprintf(control->error, sizeof control->error, "%s", sentence);
}

/* --- the window ------------------------------------------------------------------------------------------- */

static void on_reset(qemu_plugin_id_t id);

static void ask_for_reset(void)
{
    qemu_plugin_reset(plugin_id, on_reset);
}

static bool is_command_new(void)
{
    return __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE) != __atomic_load_n(&generation, __ATOMIC_RELAXED);
}

/* Whether process `pid` can still read: it exists and is no zombie. */
static bool is_reader_alive(uint32_t pid)
{
    char path[32], text[256] = "";
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int stat = open(path, O_RDONLY | O_CLOEXEC);
    if (stat < 0) {
        return false;
    }
    ssize_t length = read(stat, text, sizeof text - 1);
    close(stat);
    const char *name_end = length > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' && name_end[2] != 'Z' && name_end[2] != 'X';
}

static void close_from_vcpu(uint32_t reason, const char *sentence)
{
    if (!__atomic_exchange_n(&closing, true, __ATOMIC_ACQ_REL)) {
        stop_reason = reason;
        if (sentence) {
            fail(sentence);
        }
        ask_for_reset();
    }
}

static bool keep_waiting(gb_ring *ring)
{
    (void)ring;
    if (__atomic_load_n(&control->abandon, __ATOMIC_ACQUIRE) || __atomic_load_n(&closing, __ATOMIC_ACQUIRE)) {
        return false;
    }
    if (!is_reader_alive(__atomic_load_n(&control->reader_pid, __ATOMIC_ACQUIRE))) {
        close_from_vcpu(GB_STOP_READER_DIED, "the reader of the trace died; start it again and arm anew");
        return false;
    }
    set_state(GB_STATE_WAITING);
    return true;
}

static void on_publishing(gb_ring *ring)
{
    ring->instructions = begun_on(ring->vcpu);
    if (control->state == GB_STATE_WAITING) {
        set_state(GB_STATE_ARMED);
    }
    if (deadline_ns && gb_time_ns() >= deadline_ns) {
        close_from_vcpu(GB_STOP_LIMIT, NULL);
    } else if (is_command_new() && !closing) {
        close_from_vcpu(GB_STOP_ASKED, NULL);
    }
}

static bool is_geometry_sound(void)
{
    return control->chunk_bytes >= GB_MIN_CHUNK_BYTES && control->chunk_bytes % 64 == 0 &&
           control->chunks >= GB_MIN_CHUNKS &&
           (uint64_t)control->chunk_bytes * control->chunks <= control->ring_stride &&
           control->range_count <= GB_MAX_RANGES && control->root_count <= GB_MAX_ROOTS &&
           control->point_count <= GB_MAX_POINTS;
}

static bool is_root_wanted(uint64_t root)
{
    bool wanted = control->root_count == 0;
    for (unsigned i = 0; i < control->root_count; i++) {
        wanted |= ((root ^ control->roots[i]) & control->root_mask) == 0;
    }
    return wanted;
}

static bool prepare_ring(unsigned vcpu)
{
    gb_ring *ring = &rings[vcpu];
    gb_vcpu *page = vcpu_page(vcpu);
    uint32_t *scratch = realloc(ring->scratch, control->chunk_bytes);
    if (!ring->pages) {
        ring->pages = calloc(control->heat_pages, sizeof *ring->pages);
    }
    if (!scratch || !ring->pages) {
        return false;
    }
    gb_ring_open(ring, page, file + control->rings_offset + vcpu * control->ring_stride, scratch, control->chunk_bytes,
                 control->chunks, vcpu, control->window, NULL);
    ring->root = page->told_root;
    gb_gates_load(vcpu, page->told_idt_base, page->told_idt_limit);
    gb_ring_off(ring, true);
    return true;
}

static void open_ring(gb_ring *ring)
{
    uint32_t payload[8];
    gb_ring_off(ring, false);
    put_64(payload, gb_time_ns());
    put_64(payload + 2, ring->root);
    put_64(payload + 4, begun_on(ring->vcpu));
    payload[6] = features;
    payload[7] = control->scope;
    gb_ring_event(ring, GB_EVENT_WINDOW_START, control->window, payload, 8);
    /* Only now: here nobody may wait. */
    ring->keep_waiting = control->mode == GB_MODE_LOSSY ? NULL : keep_waiting;
    ring->publishing = on_publishing;
    gb_ring_off(ring, !is_root_wanted(ring->root));
}

/* All vCPUs stand still. */
static void open_all_rings(void)
{
    opened = true;
    deadline_ns = control->limit_ns ? gb_time_ns() + control->limit_ns : 0;
    for (unsigned vcpu = 0; vcpu < control->vcpus; vcpu++) {
        if (vcpu < (unsigned)qemu_plugin_num_vcpus()) {
            qemu_plugin_u64_set(executed, vcpu, 0);
        }
        if (features & GB_FEATURE_BLOCKS) {
            open_ring(&rings[vcpu]);
        }
    }
}

static bool arm(void)
{
    if (!is_geometry_sound()) {
        fail("the trace cannot be armed with these sizes; arm again with a ring that fits");
        return false;
    }
    features = control->features;
    stop_reason = GB_STOP_ASKED;
    deadline_ns = 0;
    hits_left = control->trigger_hits;
    opened = trigger_came = false;
    control->armed_ns = gb_time_ns();
    control->window++;
    control->error[0] = 0;
    for (unsigned vcpu = 0; features & GB_FEATURE_BLOCKS && vcpu < control->vcpus; vcpu++) {
        if (!prepare_ring(vcpu)) {
            fail("QEMU has no memory for the trace; arm again with smaller chunks");
            return false;
        }
    }
    for (unsigned vcpu = 0; vcpu < (unsigned)qemu_plugin_num_vcpus(); vcpu++) {
        qemu_plugin_u64_set(executed, vcpu, 0);
    }
    if (!hits_left && !control->start_instructions) {
        open_all_rings();
    }
    return true;
}

static void close_window(uint32_t reason)
{
    for (unsigned vcpu = 0; opened && features & GB_FEATURE_BLOCKS && vcpu < control->vcpus; vcpu++) {
        uint32_t words[5] = {GB_EVENT_WORD(GB_EVENT_WINDOW_STOP, 4, reason)};
        put_64(words + 1, gb_time_ns());
        put_64(words + 3, begun_on(vcpu));
        rings[vcpu].publishing = NULL;
        rings[vcpu].instructions = begun_on(vcpu);
        gb_ring_close(&rings[vcpu], words, 5);
    }
}

/* --- what happens while the guest runs -------------------------------------------------------------------- */

static void on_block(unsigned vcpu, void *id)
{
    gb_ring_put(&rings[vcpu], (uint32_t)(uintptr_t)id);
}

/*
 * User code has no address of its own: QEMU shares translations between all addresses of a page. So the reader is told
 * where a page of code is mapped, when it is first used after the address space may have changed.
 */
static void look_at_page(gb_ring *ring, uint32_t number)
{
    gb_code_page *page = &ring->pages[number];
    uint64_t virtual_page = gb_guest_register(GB_RIP) >> PAGE_SHIFT;
    page->epoch = ring->epoch;
    if (page->told != ring->told || page->virtual_page != virtual_page) {
        uint32_t payload[3] = {number};
        put_64(payload + 1, virtual_page);
        page->told = ring->told;
        page->virtual_page = virtual_page;
        gb_ring_event(ring, GB_EVENT_CODE_PAGE, 0, payload, 3);
    }
}

static void on_user_block(unsigned vcpu, void *page_and_id)
{
    gb_ring *ring = &rings[vcpu];
    uint32_t page = (uint32_t)((uintptr_t)page_and_id >> 32);
    if (__builtin_expect(ring->pages[page].epoch != ring->epoch, 0)) {
        look_at_page(ring, page);
    }
    gb_ring_put(ring, (uint32_t)(uintptr_t)page_and_id);
}

static void mark_alone(unsigned vcpu)
{
    alone[vcpu].cursor = rings[vcpu].cursor;
    alone[vcpu].sequence = rings[vcpu].sequence;
}

/* A block of a single instruction that touches memory remembers that it began. */
static void on_block_alone(unsigned vcpu, void *id)
{
    on_block(vcpu, id);
    mark_alone(vcpu);
}

static void on_user_block_alone(unsigned vcpu, void *page_and_id)
{
    on_user_block(vcpu, page_and_id);
    mark_alone(vcpu);
}

/*
 * A load or store of a block of one instruction. If the block did not begin, this is QEMU's second try at an
 * instruction in the middle of the block before: it touched a device, and only a block's last one may. Such a try is
 * translated without block callbacks, but with those of memory.
 */
static void on_memory_alone(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    (void)info, (void)address;
    gb_ring *ring = &rings[vcpu];
    if (alone[vcpu].cursor != ring->cursor || alone[vcpu].sequence != ring->sequence) {
        event_64(ring, GB_EVENT_IO_DONE, 0, (uint64_t)(uintptr_t)instruction);
        mark_alone(vcpu);
    }
}

static void put_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, uint32_t instruction, bool valued)
{
    gb_ring *ring = &rings[vcpu];
    bool was_alone = alone[vcpu].cursor == ring->cursor && alone[vcpu].sequence == ring->sequence;
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    uint32_t word = GB_MEMORY_WORD(qemu_plugin_mem_is_store(info), valued, log2size, 0, address) | instruction;
    uint32_t *cursor = ring->cursor;
    if ((uint64_t)((int64_t)(address << 16) >> 16) == address) {
        *cursor++ = word;
        *cursor++ = (uint32_t)address;
    } else {
        unsigned value_words = !valued ? 0 : log2size < 3 ? 1 : 1u << (log2size - 2);
        *cursor++ = GB_EVENT_WORD(GB_EVENT_MEM_WIDE, 3 + value_words, 0);
        *cursor++ = word & ~0xffffu;
        put_64(cursor, address);
        cursor += 2;
    }
    if (valued) {
        qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
        switch (log2size) {
        case 0: *cursor++ = value.data.u8; break;
        case 1: *cursor++ = value.data.u16; break;
        case 2: *cursor++ = value.data.u32; break;
        case 3: put_64(cursor, value.data.u64); cursor += 2; break;
        default:
            put_64(cursor, value.data.u128.low);
            put_64(cursor + 2, value.data.u128.high);
            cursor += 4;
        }
    }
    ring->cursor = cursor;
    gb_ring_check(ring);
    if (was_alone) {
        mark_alone(vcpu);
    }
}

static void on_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    put_memory(vcpu, info, address, (uint32_t)(uintptr_t)instruction, false);
}

static void on_memory_value(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    put_memory(vcpu, info, address, (uint32_t)(uintptr_t)instruction, true);
}

/* Before `mov cr3, reg`; `which` is the register. */
static void on_page_table(unsigned vcpu, void *which)
{
    gb_ring *ring = &rings[vcpu];
    uint64_t root = gb_guest_register((gb_register)(uintptr_t)which) & INT64_MAX;
    bool wanted = opened && is_root_wanted(root), was_off = ring->off;
    if (!wanted && !was_off) {
        event_64(ring, GB_EVENT_FILTER, 0, root);
    }
    ring->root = root;
    ring->epoch++;
    gb_ring_off(ring, !wanted);
    if (wanted && was_off) {
        event_64(ring, GB_EVENT_FILTER, 1, root);
    }
    event_64(ring, GB_EVENT_PAGE_TABLE, 0, root);
}

/* The trigger has come: a reset opens the window while all vCPUs stand still. */
static void on_trigger(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    if (__atomic_load_n(&hits_left, __ATOMIC_RELAXED) && __atomic_sub_fetch(&hits_left, 1, __ATOMIC_ACQ_REL) == 0) {
        trigger_came = true;
        ask_for_reset();
    }
}

static void on_enough_to_start(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    trigger_came = true;
    ask_for_reset();
}

static void on_enough(unsigned vcpu, void *unused)
{
    (void)unused;
    if (!rings[vcpu].off) {
        close_from_vcpu(GB_STOP_LIMIT, NULL);
        gb_ring_off(&rings[vcpu], true);
    }
}

/* Before invlpg and invpcid. */
static void on_invalidation(unsigned vcpu, void *unused)
{
    (void)unused;
    rings[vcpu].epoch++;
}

static void on_syscall(unsigned vcpu, void *type)
{
    event_64(&rings[vcpu], (unsigned)(uintptr_t)type, 0, gb_guest_register(GB_RAX));
}

static void on_exception(unsigned vcpu, void *vector_and_mode)
{
    uintptr_t packed = (uintptr_t)vector_and_mode;
    uint32_t payload[4];
    gb_frame frame;
    if (gb_guest_frame((int)(packed >> 8), (uint8_t)packed, &frame)) {
        put_64(payload, frame.from_pc);
        put_64(payload + 2, frame.error);
        gb_ring_event(&rings[vcpu], GB_EVENT_EXCEPTION, (unsigned)(packed >> 8), payload, 4);
    }
}

static void on_start_of_machine(unsigned vcpu, void *unused)
{
    (void)unused;
    gb_ring_event(&rings[vcpu], GB_EVENT_RESET, 0, NULL, 0);
}

static void on_block_end(unsigned vcpu, void *unused)
{
    (void)unused;
    gb_ring_event(&rings[vcpu], GB_EVENT_BLOCK_END, 0, NULL, 0);
}

/* lidt reads the limit (2 bytes), then the base. */
static void on_lidt(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    static uint64_t limits[GB_MAX_VCPUS];
    (void)address, (void)unused;
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
    unsigned log2size = qemu_plugin_mem_size_shift(info);
    if (log2size == 1) {
        limits[vcpu] = value.data.u16;
        return;
    }
    uint64_t base = log2size == 3 ? value.data.u64 : value.data.u32;
    uint32_t payload[3];
    pthread_mutex_lock(&lock);
    gb_gates_load(vcpu, base, limits[vcpu]);
    pthread_mutex_unlock(&lock);
    put_64(payload, base);
    payload[2] = (uint32_t)limits[vcpu];
    gb_ring_event(&rings[vcpu], GB_EVENT_IDT, 0, payload, 3);
}

static void on_registers(unsigned vcpu, void *unused)
{
    uint32_t payload[2 * (GB_GS_BASE + 1)];
    (void)unused;
    for (unsigned which = GB_RAX; which <= GB_GS_BASE; which++) {
        put_64(payload + (size_t)2 * which, gb_guest_register((gb_register)which));
    }
    gb_ring_event(&rings[vcpu], GB_EVENT_REGISTERS, 0, payload, 2 * (GB_GS_BASE + 1));
}

static void on_heat_block(unsigned vcpu, void *page)
{
    uint32_t *heat = (uint32_t *)(file + control->heat_blocks_offset) + (uintptr_t)page;
    (void)vcpu;
    __atomic_store_n(heat, *heat + 1, __ATOMIC_RELAXED);
}

static void on_heat_store(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    struct qemu_plugin_hwaddr *place = qemu_plugin_get_hwaddr(info, address);
    (void)vcpu, (void)unused;
    if (!place || qemu_plugin_hwaddr_is_io(place)) {
        return;
    }
    uint64_t physical = qemu_plugin_hwaddr_phys_addr(place);
    for (unsigned i = 0; i < control->region_count && i < GB_MAX_REGIONS; i++) {
        const gb_region *region = &control->regions[i];
        if (physical - region->physical < region->bytes) {
            uint64_t page = (physical - region->physical + region->offset) >> PAGE_SHIFT;
            if (page < control->heat_pages) {
                uint32_t *heat = (uint32_t *)(file + control->heat_stores_offset) + page;
                __atomic_store_n(heat, *heat + 1, __ATOMIC_RELAXED);
            }
            return;
        }
    }
}

/* --- translation ------------------------------------------------------------------------------------------ */

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
static uint32_t name(const gb_block *block)
{
    uint32_t id = 0;
    pthread_mutex_lock(&lock);
    gb_entry *entry = gb_names_find(&names, block);
    if (entry) {
        id = entry->record->id;
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

static void hook_instruction(struct qemu_plugin_insn *insn, opcode op)
{
    if (op.length < 2 || op.bytes[0] != 0x0f) {
        return;
    }
    uint8_t modrm = op.length > 2 ? op.bytes[2] : 0;
    if (op.bytes[1] == 0x22 && op.length > 2 && (modrm >> 3 & 7) == 3 && !(op.rex & 4)) {
        /* Encoded as RAX RCX RDX RBX RSP RBP RSI RDI. */
        static const uint8_t order[8] = {GB_RAX, GB_RCX, GB_RDX, GB_RBX, GB_RSP, GB_RBP, GB_RSI, GB_RDI};
        unsigned source = op.rex & 1 ? GB_R8 + (modrm & 7) : order[modrm & 7];
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_page_table, QEMU_PLUGIN_CB_R_REGS, (void *)(uintptr_t)source);
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

static void hook_memory(struct qemu_plugin_tb *tb, const gb_block *block)
{
    if (features & (GB_FEATURE_MEMORY | GB_FEATURE_VALUES)) {
        for (size_t i = 0; i < block->instructions; i++) {
            qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i),
                                             features & GB_FEATURE_VALUES ? on_memory_value : on_memory,
                                             QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)(i << 16));
        }
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
    for (unsigned i = 0; features & GB_FEATURE_REGISTERS && i < control->point_count; i++) {
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
    if (block->ring == 3 && block->offset >> PAGE_SHIFT < control->heat_pages) {
        uintptr_t packed = (uintptr_t)(block->offset >> PAGE_SHIFT) << 32 | id;
        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched ? on_user_block_alone : on_user_block, QEMU_PLUGIN_CB_R_REGS,
                                             (void *)packed);
    } else {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, watched ? on_block_alone : on_block, QEMU_PLUGIN_CB_NO_REGS,
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

static void hook_heat(struct qemu_plugin_tb *tb, const gb_block *block)
{
    if (block->offset != GB_NO_OFFSET && block->offset >> PAGE_SHIFT < control->heat_pages) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_heat_block, QEMU_PLUGIN_CB_NO_REGS,
                                             (void *)(uintptr_t)(block->offset >> PAGE_SHIFT));
    }
    for (size_t i = 0; i < block->instructions; i++) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_heat_store, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_W, NULL);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    record_space space;
    (void)id;
    if (!armed) {
        return;
    }
    gb_block *block = describe(tb, &space);
    __atomic_add_fetch(&control->translations, 1, __ATOMIC_RELAXED);
    if (!opened) {
        hook_trigger(tb, block);
        return;
    }
    if (control->limit_instructions) {
        hook_count(tb, block, on_enough, control->limit_instructions);
    }
    if (features & GB_FEATURE_HEAT) {
        hook_heat(tb, block);
    }
    if (!(features & GB_FEATURE_BLOCKS)) {
        return;
    }
    hook_start(tb, block);
    bool watched = hook_instructions(tb, block);
    if (!is_wanted(block)) {
        return;
    }
    uint32_t number = name(block);
    if (!number) {
        close_from_vcpu(GB_STOP_LIMIT, "QEMU has no memory to name more blocks; trace a smaller part");
        return;
    }
    hook_id(tb, block, number, watched);
    hook_memory(tb, block);
}

/* --- the machine ------------------------------------------------------------------------------------------ */

static void on_idle(qemu_plugin_id_t id, unsigned vcpu)
{
    (void)id;
    if (armed && vcpu < control->vcpus && features & GB_FEATURE_BLOCKS) {
        if (features & GB_FEATURE_EVENTS && rings[vcpu].state == GB_OWNED) {
            event_64(&rings[vcpu], GB_EVENT_IDLE, 0, gb_time_ns());
        }
        gb_ring_flush(&rings[vcpu]);
    }
}

static void on_resume(qemu_plugin_id_t id, unsigned vcpu)
{
    (void)id, (void)vcpu;
    if (is_command_new()) {
        ask_for_reset();
    }
}

static void find_registers_once(void)
{
    static bool found;
    if (!found && !(found = gb_guest_find_registers())) {
        fail("QEMU does not name the registers that the trace needs; use another release of QEMU");
    }
}

static void on_vcpu(qemu_plugin_id_t id, unsigned vcpu)
{
    (void)id, (void)vcpu;
    find_registers_once();
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *unused)
{
    (void)id, (void)unused;
    if (armed) {
        close_window(GB_STOP_EXIT);
    }
    armed = false;
    set_state(GB_STATE_ABSENT);
}

/* All vCPUs stand still, or there are none yet; every hook has been dropped. */
static void register_what_is_wanted(void)
{
    qemu_plugin_register_vcpu_init_cb(plugin_id, on_vcpu);
    qemu_plugin_register_vcpu_idle_cb(plugin_id, on_idle);
    qemu_plugin_register_vcpu_resume_cb(plugin_id, on_resume);
    qemu_plugin_register_atexit_cb(plugin_id, on_exit_of_qemu, NULL);
    if (armed) {
        qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
    }
}

static void obey(void)
{
    uint32_t now = __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE);
    bool commanded = now != generation, broken = control->error[0] != 0;
    armed = false;
    if (commanded) {
        generation = now;
        armed = control->command == GB_COMMAND_ARM && arm();
        broken = control->command == GB_COMMAND_ARM && !armed;
    }
    closing = false;
    register_what_is_wanted();
    set_state(armed ? GB_STATE_ARMED : broken ? GB_STATE_FAILED : GB_STATE_DISARMED);
    __atomic_store_n(&control->acknowledged, generation, __ATOMIC_RELEASE);
}

static void on_reset(qemu_plugin_id_t id)
{
    (void)id;
    find_registers_once();
    if (!is_command_new() && !closing) {
        /* The trigger has come; or two vCPUs awoke and asked one after the other, and there is nothing left to do. */
        if (armed && !opened && trigger_came) {
            open_all_rings();
        }
        register_what_is_wanted();
        return;
    }
    if (armed) {
        close_window(stop_reason);
    }
    obey();
}

/* Map the shared file at `path`; NULL if it is not one of ours. */
static uint8_t *map_file(const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    uint8_t *place = NULL;
    if (fstat(descriptor, &status) == 0 && (uint64_t)status.st_size >= GB_PAGE_BYTES) {
        place = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        place = place == MAP_FAILED ? NULL : place;
    }
    close(descriptor);
    const gb_control *page = (const gb_control *)place;
    if (page && (memcmp(page->magic, GB_TRACE_MAGIC, sizeof page->magic) != 0 || page->version != GB_TRACE_VERSION ||
                 page->file_bytes != (uint64_t)status.st_size)) {
        fprintf(stderr, "glassbox trace: %s has another layout; build the plugin again\n", path);
        return NULL;
    }
    return place;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "control=", 8) == 0) {
            path = argv[i] + 8;
        }
    }
    if (info->version.cur < GB_API_BUILT_FOR || info->version.cur > GB_API_NEWEST) {
        fprintf(stderr, "glassbox trace: this QEMU has plugin API %d, the plugin knows %d to %d; use QEMU 9.2 to 11.0\n",
                info->version.cur, GB_API_BUILT_FOR, GB_API_NEWEST);
        return -1;
    }
    if (!info->system_emulation || strcmp(info->target_name, "x86_64") != 0) {
        fprintf(stderr, "glassbox trace: %s is not an x86-64 machine; use qemu-system-x86_64\n", info->target_name);
        return -1;
    }
    if (!path || !(file = map_file(path))) {
        fprintf(stderr, "glassbox trace: there is no shared file %s; give control=PATH\n", path ? path : "");
        return -1;
    }
    plugin_id = id;
    control = (gb_control *)file;
    if (control->vcpus < (unsigned)info->system.max_vcpus || control->vcpus > GB_MAX_VCPUS) {
        fprintf(stderr, "glassbox trace: the shared file is for %u vCPUs, the machine has %d; make it anew\n",
                control->vcpus, info->system.max_vcpus);
        return -1;
    }
    begun.score = qemu_plugin_scoreboard_new(2 * sizeof(uint64_t));
    executed = (qemu_plugin_u64){begun.score, sizeof(uint64_t)};
    control->plugin_api = (uint32_t)info->version.cur;
    control->plugin_pid = (uint32_t)getpid();
    obey();
    return 0;
}
