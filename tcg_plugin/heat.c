/* See heat.h. It goes on and off by `heat_wanted`; an open window goes on through the reset that this takes. */
#include "heat.h"

enum { PLACES = 256 };

/* Where a virtual page of the current address space lies in the RAM file: asking QEMU at each store cost most of the time. */
typedef struct {
    uint64_t virtual_page;
    uint32_t epoch, page;
} place;

static struct {
    uint64_t root;
    uint32_t epoch; /* raised when a virtual page may have come to lie elsewhere */
    place places[PLACES];
} __attribute__((aligned(128))) vcpus[GB_MAX_VCPUS];

bool heat_on;
static uint32_t *blocks, *stores;
static gb_writer *writers;

void heat_begin(void)
{
    blocks = (uint32_t *)(file + control->heat_blocks_offset);
    stores = (uint32_t *)(file + control->heat_stores_offset);
    writers = (gb_writer *)(file + control->heat_writers_offset);
    for (unsigned vcpu = 0; vcpu < control->vcpus; vcpu++) {
        vcpus[vcpu].root = vcpu_page(vcpu)->initial_cr3;
        vcpus[vcpu].epoch++;
    }
}

void on_heat_block(unsigned vcpu, void *page)
{
    uint32_t *count = blocks + (uintptr_t)page;
    (void)vcpu;
    __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* Before `mov cr3, reg`; `which` is the register. */
void on_heat_root(unsigned vcpu, void *which)
{
    vcpus[vcpu].root = gb_guest_register((gb_register)(uintptr_t)which) & INT64_MAX;
    vcpus[vcpu].epoch++;
}

/* Before invlpg, invpcid, and `mov` to CR0 or CR4; and after the machine stood still, for its state may have been loaded. */
void on_heat_remapped(unsigned vcpu, void *unused)
{
    (void)unused;
    vcpus[vcpu].epoch++;
}

/* Ask QEMU where the store went, and remember it. False: not to RAM. */
static __attribute__((noinline)) bool look_up(unsigned vcpu, place *found, qemu_plugin_meminfo_t info, uint64_t address)
{
    struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, address);
    if (!where || qemu_plugin_hwaddr_is_io(where)) {
        return false;
    }
    uint64_t physical = qemu_plugin_hwaddr_phys_addr(where);
    for (unsigned i = 0; i < control->region_count && i < GB_MAX_REGIONS; i++) {
        const gb_region *region = &control->regions[i];
        uint64_t page = (physical - region->physical + region->offset) >> PAGE_SHIFT;
        if (physical - region->physical < region->bytes && page < control->heat_pages) {
            *found = (place){address >> PAGE_SHIFT, vcpus[vcpu].epoch, (uint32_t)page};
            return true;
        }
    }
    return false;
}

/* `code` says which instruction it is, as in gb_writer. */
void on_heat_store(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *code)
{
    place *found = &vcpus[vcpu].places[address >> PAGE_SHIFT & (PLACES - 1)];
    bool known = found->virtual_page == address >> PAGE_SHIFT && found->epoch == vcpus[vcpu].epoch;
    if (__builtin_expect(!known, 0) && !look_up(vcpu, found, info, address)) {
        return;
    }
    uint32_t *count = stores + found->page;
    gb_writer *writer = writers + found->page;
    __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&writer->code, (uint64_t)(uintptr_t)code, __ATOMIC_RELAXED);
    __atomic_store_n(&writer->root, vcpus[vcpu].root, __ATOMIC_RELAXED);
}
