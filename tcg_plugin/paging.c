/* See paging.h. */
#include "paging.h"

#include <stdlib.h>
#include <string.h>

enum {
    PRESENT = 1,
    WRITABLE = 2,
    USER = 4,
    ACCESSED = 32,
    DIRTY = 64,
    LARGE = 128,
    KEY_SHIFT = 59,
    KEYS = 15,
};
enum { FIRST_PHYSICAL = 1 << 20 }; /* below lie devices and what chipsets remap */
static const uint64_t ADDRESS = ((UINT64_C(1) << 52) - 1) & ~UINT64_C(0xfff);

static uint8_t *code_pages; /* a byte each */

static uint64_t offset_of(uint64_t physical)
{
    for (uint64_t i = 0; i < control->region_count && i < GB_MAX_REGIONS; i++) {
        const gb_region *region = &control->regions[i];
        if (physical >= region->physical && physical - region->physical < region->bytes) {
            return region->offset + (physical - region->physical);
        }
    }
    return GB_NO_OFFSET;
}

static uint8_t *page_at(uint64_t physical)
{
    uint64_t offset = physical < FIRST_PHYSICAL ? GB_NO_OFFSET : offset_of(physical);
    return offset == GB_NO_OFFSET ? NULL : gb_guest_ram(offset & ~(uint64_t)(GB_PAGE_BYTES - 1), control->ram_inode);
}

bool gb_paging_begin(gb_paging *paging)
{
    enum { FIVE_LEVELS = 1 << 12, KEYS_OF_USERS = 1 << 22, VIRTUAL_MACHINES = 1 << 12, LONG_MODE_ACTIVE = 1 << 10 };
    uint64_t cr4 = gb_guest_register(GB_CR4), efer = gb_guest_register(GB_EFER);
    paging->root = gb_guest_register(GB_CR3) & ADDRESS;
    paging->has_keys = cr4 & KEYS_OF_USERS;
    return !(cr4 & FIVE_LEVELS) && (efer & (LONG_MODE_ACTIVE | VIRTUAL_MACHINES)) == LONG_MODE_ACTIVE;
}

/* The entry that maps `address`, with the bits that all levels above it have too, and how far its pages reach; 0: none. */
static uint64_t walk(uint64_t root, uint64_t address, unsigned *shift)
{
    enum { TOP = 39, STEP = 9 };
    const uint64_t of_all = PRESENT | WRITABLE | USER | ACCESSED;
    uint64_t table = root, rights = of_all;
    if ((uint64_t)((int64_t)(address << 16) >> 16) != address) {
        return 0;
    }
    for (*shift = TOP;; *shift -= STEP) {
        const uint8_t *page = page_at(table);
        uint64_t entry = 0;
        if (page) {
            memcpy(&entry, page + 8 * (address >> *shift & 511), sizeof entry);
        }
        rights &= entry;
        if (!(entry & PRESENT) || (*shift == TOP && entry & LARGE)) {
            return 0;
        }
        if (*shift == PAGE_SHIFT || entry & LARGE) {
            return (entry & ~of_all) | rights;
        }
        table = entry & ADDRESS;
    }
}

/* Physical address of the page; ~0: bits that must be 0 are not. */
static uint64_t target(uint64_t entry, uint64_t address, unsigned shift)
{
    enum { ATTRIBUTES = 1 << 12 }; /* of a large page, where a small one has its address */
    uint64_t inside = (UINT64_C(1) << shift) - 1, base = entry & ADDRESS;
    if (shift != PAGE_SHIFT) {
        base &= ~(uint64_t)ATTRIBUTES;
    }
    return base & inside ? UINT64_MAX : base | (address & inside & ~(uint64_t)(GB_PAGE_BYTES - 1));
}

uint8_t *gb_paging_find(const gb_paging *paging, uint64_t address, bool is_store, uint64_t *physical, uint32_t *reason)
{
    unsigned shift;
    uint64_t entry = walk(paging->root, address, &shift);
    uint64_t needed = PRESENT | USER | ACCESSED | (is_store ? WRITABLE | DIRTY : 0);
    *reason = GB_REASON_PAGE;
    if ((entry & needed) != needed || (paging->has_keys && entry >> KEY_SHIFT & KEYS)) {
        return NULL;
    }
    *reason = GB_REASON_NO_RAM;
    *physical = target(entry, address, shift);
    uint8_t *page = *physical == UINT64_MAX ? NULL : page_at(*physical);
    if (page && is_store && (!code_pages || code_pages[offset_of(*physical) >> PAGE_SHIFT])) {
        *reason = GB_REASON_CODE_PAGE;
        return NULL;
    }
    return page;
}

static void note(uint64_t offset)
{
    if (offset != GB_NO_OFFSET && offset >> PAGE_SHIFT < control->heat_pages) {
        code_pages[offset >> PAGE_SHIFT] = 1;
    }
}

void gb_paging_note_code(const struct qemu_plugin_tb *tb)
{
    enum { PROTECTION_AND_PAGING = 0x80000001u };
    size_t count = qemu_plugin_tb_n_insns(tb);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, count - 1);
    uint64_t end = qemu_plugin_tb_vaddr(tb);
    if (!code_pages && !(code_pages = calloc(control->heat_pages, 1))) {
        return; /* no store is let through then */
    }
    for (size_t i = 0; i < count; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        end += qemu_plugin_insn_size(insn);
        if (i == 0 || i == count - 1) {
            note(gb_guest_ram_offset(qemu_plugin_insn_haddr(insn), control->ram_inode));
        }
    }
    /* An instruction may reach into the next page, of which QEMU does not say where it is. */
    if (((end - 1) ^ (end - qemu_plugin_insn_size(last))) >> PAGE_SHIFT) {
        unsigned shift;
        uint64_t entry = 0;
        if ((gb_guest_register(GB_CR0) & PROTECTION_AND_PAGING) == PROTECTION_AND_PAGING && gb_guest_mode() == 64) {
            entry = walk(gb_guest_register(GB_CR3) & ADDRESS, end - 1, &shift);
        }
        uint64_t physical = entry ? target(entry, end - 1, shift) : UINT64_MAX;
        note(physical == UINT64_MAX ? GB_NO_OFFSET : offset_of(physical));
    }
}
