/* See hooks.h. */
#include "hooks.h"

#include "locked.h"
#include "memory.h"

void on_block(unsigned vcpu, void *id)
{
    gb_ring_put(&rings[vcpu], (uint32_t)(uintptr_t)id);
}

/* Of a machine of one vCPU: its ring is a constant. */
void on_block_of_one(unsigned vcpu, void *id)
{
    (void)vcpu;
    gb_ring_put(&rings[0], (uint32_t)(uintptr_t)id);
}

/*
 * User code has no address of its own: QEMU shares translations between all addresses of a page. So an event records
 * where a page of code is mapped, when it is first used after the address space may have changed.
 */
static __attribute__((noinline)) void announce_page(gb_ring *ring, uint32_t number, uint32_t id)
{
    gb_code_page *page = &ring->pages[number];
    uint64_t virtual_page = gb_guest_register(GB_RIP) >> PAGE_SHIFT;
    gb_ring_at_block(ring);
    ring->page_epochs[number] = ring->epoch;
    if (page->reader_epoch != ring->reader_epoch || page->virtual_page != virtual_page) {
        page->reader_epoch = ring->reader_epoch;
        page->virtual_page = virtual_page;
        /* Event and id in one piece: a loss that ended between them would leave the block without its address. */
        *ring->cursor++ = GB_EVENT_WORD(GB_EVENT_CODE_PAGE, 3, 0);
        *ring->cursor++ = number;
        put_64(ring->cursor, virtual_page);
        ring->cursor += 2;
    }
    gb_ring_put(ring, id);
}

static inline __attribute__((always_inline)) void put_user_block(gb_ring *ring, uintptr_t page_and_id)
{
    uint32_t page = (uint32_t)(page_and_id >> 32);
    if (__builtin_expect(ring->page_epochs[page] != ring->epoch, 0)) {
        announce_page(ring, page, (uint32_t)page_and_id);
        return;
    }
    gb_ring_put(ring, (uint32_t)page_and_id);
}

void on_user_block(unsigned vcpu, void *page_and_id)
{
    put_user_block(&rings[vcpu], (uintptr_t)page_and_id);
}

void on_user_block_of_one(unsigned vcpu, void *page_and_id)
{
    (void)vcpu;
    put_user_block(&rings[0], (uintptr_t)page_and_id);
}

/* A block of a single instruction that touches memory remembers that it began. */
void on_block_single(unsigned vcpu, void *id)
{
    on_block(vcpu, id);
    mark_single(vcpu);
}

void on_user_block_single(unsigned vcpu, void *page_and_id)
{
    on_user_block(vcpu, page_and_id);
    mark_single(vcpu);
}

/*
 * A block that privilege or address leave out: an event says where, and counts the instructions of all that come one
 * after the other for as long as it lies in a chunk that is not published.
 */
void on_left_out(unsigned vcpu, void *packed)
{
    static const uint32_t *ends[GB_MAX_VCPUS]; /* where that event ends */
    static uint64_t sequences[GB_MAX_VCPUS];
    gb_ring *ring = &rings[vcpu];
    uint32_t instructions = (uint16_t)(uintptr_t)packed;
    if (!ring->off) {
        gb_ring_at_block(ring);
        uint32_t *at = ring->cursor;
        if (ends[vcpu] == at && sequences[vcpu] == ring->sequence) {
            uint64_t sum = get_64(at - 2) + instructions;
            put_64(at - 2, sum);
        } else {
            event_64(ring, GB_EVENT_LEFT_OUT, 0, instructions);
            ends[vcpu] = ring->cursor == at + 3 ? ring->cursor : NULL;
            sequences[vcpu] = ring->sequence;
        }
    }
    if ((uintptr_t)packed >> 16) {
        mark_single(vcpu);
    }
}

/*
 * A load or store of a block of one instruction. If the block did not begin, this is QEMU's second try at an
 * instruction in the middle of the block before: it touched a device, and only a block's last one may. Such a try is
 * translated without block callbacks, but with those of memory.
 */
void on_retry(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *instruction)
{
    (void)info, (void)address;
    gb_ring *ring = &rings[vcpu];
    if (!is_single_marked(vcpu)) {
        event_64(ring, GB_EVENT_IO_DONE, 0, (uint64_t)(uintptr_t)instruction);
        mark_single(vcpu);
    }
}

/* Comes after on_retry, which has marked the place. */
void on_access_single(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *valued)
{
    put_access(&rings[vcpu], info, address, 0, valued != NULL);
    mark_single(vcpu);
}

void on_locked_single(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *packed)
{
    put_locked(vcpu, info, address, packed, __builtin_return_address(0));
    mark_single(vcpu);
}

/* Before `mov cr3, reg`; `which` is the register. */
void on_page_table(unsigned vcpu, void *which)
{
    gb_ring *ring = &rings[vcpu];
    uint64_t root = gb_guest_register((gb_register)(uintptr_t)which) & INT64_MAX;
    bool wanted = opened && is_root_wanted(root), was_off = ring->off;
    if (!wanted && !was_off) {
        event_filter(ring, 0, root);
    }
    ring->root = root;
    ring->epoch++;
    gb_ring_set_off(ring, !wanted);
    if (wanted && was_off) {
        event_filter(ring, 1, root);
    }
    event_64(ring, GB_EVENT_PAGE_TABLE, 0, root);
}

void on_root_free(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    if (free_root(gb_guest_register(GB_RSI) - control->direct_map_base)) {
        close_from_vcpu(GB_STOP_ROOTS_FREED, NULL);
    }
}

/* The trigger has come: a reset opens the window while all vCPUs stand still. */
void on_trigger(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    if (__atomic_load_n(&hits_left, __ATOMIC_RELAXED) && __atomic_sub_fetch(&hits_left, 1, __ATOMIC_ACQ_REL) == 0) {
        triggered = true;
        request_reset();
    }
}

void on_start_count(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    triggered = true;
    request_reset();
}

void on_limit(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    close_from_vcpu(GB_STOP_LIMIT, NULL);
}

/* Before invlpg and invpcid. */
void on_invalidation(unsigned vcpu, void *unused)
{
    (void)unused;
    rings[vcpu].epoch++;
}

/* Kernel code of the upper half loads a page table: the identity map goes, and blocks need not be asked any more. */
void on_identity_map_left(unsigned vcpu, void *unused)
{
    (void)vcpu, (void)unused;
    if (!__atomic_exchange_n(&identity_map_left, true, __ATOMIC_ACQ_REL)) {
        request_reset();
    }
}

void on_exception(unsigned vcpu, void *vector_and_mode)
{
    uintptr_t packed = (uintptr_t)vector_and_mode;
    uint32_t words[GB_EXCEPTION_WORDS];
    if (put_exception(words, (int)(packed >> 8), (uint8_t)packed)) {
        gb_ring_event(&rings[vcpu], GB_EVENT_EXCEPTION, (unsigned)(packed >> 8), words + 1, GB_EXCEPTION_WORDS - 1);
    }
}

void on_start_of_machine(unsigned vcpu, void *unused)
{
    (void)unused;
    identity_map_left = vcpu != 0 && identity_map_left;
    gb_ring_event(&rings[vcpu], GB_EVENT_RESET, 0, NULL, 0);
}

void on_block_end(unsigned vcpu, void *unused)
{
    (void)unused;
    gb_ring_event(&rings[vcpu], GB_EVENT_BLOCK_END, 0, NULL, 0);
}

/* lidt reads the limit (2 bytes), then the base. */
void on_lidt(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
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

void on_registers(unsigned vcpu, void *unused)
{
    uint32_t payload[2 * (GB_GS_BASE + 1)];
    (void)unused;
    for (unsigned which = GB_RAX; which <= GB_GS_BASE; which++) {
        put_64(payload + (size_t)2 * which, gb_guest_register((gb_register)which));
    }
    gb_ring_event(&rings[vcpu], GB_EVENT_REGISTERS, 0, payload, 2 * (GB_GS_BASE + 1));
}
