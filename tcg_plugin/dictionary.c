#include "dictionary.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 1 << 14, LAST_ID = 0x7fffffff };

/* What names a block: everything of its record but size (which follows), id and flags. */
static uint64_t hash_record(const gb_block *record)
{
    const uint8_t *bytes = (const uint8_t *)record;
    uint64_t hash = (uint64_t)record->ring << 8 | record->mode | (uint64_t)record->instructions << 16;
    /* From the address on, eight bytes at a time; records are a multiple of 8 long. The last 8 of the header hold flags. */
    for (uint32_t at = 8; at < record->size; at += 8) {
        uint64_t word;
        if (at == 32) {
            continue;
        }
        memcpy(&word, bytes + at, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static int same_content(const gb_block *a, const gb_block *b)
{
    return a->size == b->size && a->address == b->address && a->offset == b->offset && a->offset2 == b->offset2 &&
           a->instructions == b->instructions && a->bytes == b->bytes && a->ring == b->ring && a->mode == b->mode &&
           memcmp(a + 1, b + 1, a->size - sizeof *a) == 0;
}

static int grow(gb_block_table *names)
{
    uint64_t capacity = names->capacity ? names->capacity * 2 : FIRST_CAPACITY;
    gb_entry *entries = calloc(capacity, sizeof *entries);
    if (!entries) {
        return 0;
    }
    for (uint64_t i = 0; i < names->capacity; i++) {
        if (names->entries[i].record) {
            uint64_t slot = names->entries[i].hash & (capacity - 1);
            while (entries[slot].record) {
                slot = (slot + 1) & (capacity - 1);
            }
            entries[slot] = names->entries[i];
        }
    }
    free(names->entries);
    names->entries = entries;
    names->capacity = capacity;
    return 1;
}

gb_entry *gb_block_table_find(gb_block_table *names, const gb_block *record)
{
    if ((uint64_t)names->count * 2 >= names->capacity && !grow(names)) {
        return NULL;
    }
    uint64_t hash = hash_record(record);
    uint64_t slot = hash & (names->capacity - 1);
    for (gb_entry *entry; (entry = &names->entries[slot])->record; slot = (slot + 1) & (names->capacity - 1)) {
        if (entry->hash == hash && same_content(entry->record, record)) {
            return entry;
        }
    }
    gb_block *copy = names->count < LAST_ID ? malloc(record->size) : NULL;
    if (!copy) {
        return NULL;
    }
    memcpy(copy, record, record->size);
    copy->id = ++names->count;
    names->entries[slot] = (gb_entry){.record = copy, .hash = hash};
    return &names->entries[slot];
}
