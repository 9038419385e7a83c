/* See shadow.h. */
#include "shadow.h"

#include <string.h>

#include "returns.h"

enum { MOST_INNER_ROUNDS = 1 << 16 };

static uint8_t *find(gb_pages *pages, uint64_t address, uint32_t is_store)
{
    gb_slice *slice = (gb_slice *)pages;
    uint64_t physical;
    uint8_t *page = gb_paging_find(slice->paging, address, is_store, &physical, &pages->reason);
    if (!page || !is_store) {
        return page;
    }
    for (unsigned i = 0; i < slice->stored; i++) {
        if (slice->stores[i].page == page) {
            return page;
        }
    }
    if (slice->stored == SLICE_PAGES) {
        pages->reason = GB_REASON_PAGES;
        return NULL;
    }
    slice->stores[slice->stored].physical = physical;
    slice->stores[slice->stored].address = address;
    slice->stores[slice->stored++].page = page;
    return page;
}

void gb_slice_begin(gb_slice *slice, const gb_paging *paging, gb_store *log, bool keeps)
{
    slice->pages.find = find;
    slice->pages.log = log;
    slice->pages.stores = 0;
    slice->pages.most_stores = SHADOW_STORES;
    slice->pages.keeps = keeps;
    slice->pages.reason = 0;
    slice->pages.fuel = MOST_INNER_ROUNDS;
    for (unsigned i = 0; i < GB_CACHED_PAGES; i++) {
        slice->pages.found[0][i].address = slice->pages.found[1][i].address = 1;
    }
    slice->paging = paging;
    slice->stored = 0;
}

void gb_slice_end(gb_slice *slice)
{
    for (unsigned i = 0; i < slice->stored; i++) {
        gb_guest_mark_stored(slice->stores[i].physical, slice->stores[i].page);
    }
}

static uint64_t value_at(const uint8_t *at, uint64_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static uint8_t *place_of(const gb_store *store)
{
    return (uint8_t *)(uintptr_t)(store->at & ((UINT64_C(1) << GB_STORE_BYTES) - 1));
}

/* Of a place that was stored to; of several that are the same RAM any. */
static uint64_t linear_address(const gb_slice *slice, const uint8_t *place)
{
    for (unsigned i = 0; i < slice->stored; i++) {
        if ((uintptr_t)place - (uintptr_t)slice->stores[i].page < GB_PAGE_BYTES) {
            return slice->stores[i].address + (uint64_t)(place - slice->stores[i].page);
        }
    }
    return 0;
}

bool gb_shadow_begin(gb_shadow *shadow, gb_learned_row *row, const gb_learned *loop, const gb_paging *paging,
                     const uint64_t registers[GB_LEARNED_REGISTERS], uint64_t head)
{
    static gb_store log[SHADOW_STORES];
    gb_slice slice;
    memcpy(shadow->before, registers, sizeof shadow->before);
    memcpy(shadow->after, registers, sizeof shadow->after);
    gb_slice_begin(&slice, paging, log, true);
    shadow->rounds = loop->run(shadow->after, &slice.pages, head, shadow->most);
    shadow->stores = slice.pages.stores;
    for (unsigned i = 0; i < shadow->stores; i++) {
        shadow->stored[i].address = linear_address(&slice, place_of(&log[i]));
        shadow->stored[i].bytes = log[i].at >> GB_STORE_BYTES;
        shadow->stored[i].value = value_at(place_of(&log[i]), shadow->stored[i].bytes);
    }
    for (unsigned i = shadow->stores; i-- > 0;) {
        memcpy(place_of(&log[i]), &log[i].old, log[i].at >> GB_STORE_BYTES);
    }
    if (shadow->rounds < shadow->most) {
        row->reasons[slice.pages.reason]++;
    }
    shadow->head = head;
    shadow->returns = returns_count();
    shadow->left = shadow->rounds;
    return shadow->left;
}

void gb_shadow_abandon(gb_shadow *shadow, gb_learned_row *row)
{
    if (shadow->left) {
        row->abandoned++;
        shadow->most = shadow->most > 1 ? shadow->most / 2 : 1;
    }
    shadow->left = 0;
}

static bool note_mismatch(gb_shadow *shadow, gb_learned_row *row, uint64_t place, uint64_t kernel, uint64_t guest)
{
    memcpy(row->failed_registers, shadow->before, sizeof row->failed_registers);
    row->failed_rounds = shadow->rounds;
    row->failed_place = place;
    row->failed_kernel = kernel;
    row->failed_guest = guest;
    __atomic_store_n(&row->mismatches, row->mismatches + 1, __ATOMIC_RELEASE);
    return false;
}

bool gb_shadow_pass(gb_shadow *shadow, gb_learned_row *row, const gb_learned *loop, const gb_paging *paging,
                    const uint64_t registers[GB_LEARNED_REGISTERS], uint64_t passes)
{
    if (shadow->returns != returns_count()) {
        gb_shadow_abandon(shadow, row);
        return true;
    }
    if (passes > shadow->left) { /* the last round ended inside of a block */
        shadow->left = 0;
        row->abandoned++;
        return true;
    }
    shadow->left -= passes;
    if (shadow->left) {
        return true;
    }
    for (unsigned i = 0; i < GB_LEARNED_REGISTERS; i++) {
        if ((loop->reads | loop->writes) >> i & 1 && registers[i] != shadow->after[i]) {
            return note_mismatch(shadow, row, i, shadow->after[i], registers[i]);
        }
    }
    for (unsigned i = 0; i < shadow->stores; i++) {
        uint64_t address = shadow->stored[i].address, bytes = shadow->stored[i].bytes, physical;
        uint32_t reason;
        const uint8_t *page = gb_paging_find(paging, address, false, &physical, &reason);
        if (!page) {
            row->abandoned++;
            return true;
        }
        uint64_t found = value_at(page + (address & (GB_PAGE_BYTES - 1)), bytes);
        if (found != shadow->stored[i].value) {
            return note_mismatch(shadow, row, address, shadow->stored[i].value, found);
        }
    }
    row->compared++;
    shadow->most = 2 * shadow->most > SHADOW_ROUNDS ? SHADOW_ROUNDS : 2 * shadow->most;
    return true;
}
