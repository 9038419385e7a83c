/*
 * The page tables of a 64-bit guest, walked in RAM: QEMU's own translation does not look at rights. Nothing is kept from one
 * callback to the next.
 */
#ifndef GB_PAGING_H
#define GB_PAGING_H

#include "state.h"

#pragma GCC visibility push(hidden)

typedef struct {
    uint64_t root;
    bool has_keys; /* pages have keys: only those of key 0 are given */
} gb_paging;

/* Read the registers of the current vCPU, which runs a 64-bit program; false where its pages cannot be found this way. */
bool gb_paging_begin(gb_paging *paging);

/*
 * Host address of the page at linear `address` for a program of a user, which may load from it, or store to it; NULL, and a
 * GB_REASON. An entry must be marked as used, and for a store as changed: marking is left to QEMU. `physical` is the page's.
 */
uint8_t *gb_paging_find(const gb_paging *paging, uint64_t address, bool is_store, uint64_t *physical, uint32_t *reason);

/* Pages of RAM that QEMU has translated code of, ever. */
void gb_paging_note_code(const struct qemu_plugin_tb *tb);

#pragma GCC visibility pop

#endif
