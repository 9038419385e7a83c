/*
 * Names for content: the same block (addresses, place in RAM, ring, mode, bytes) gets the same id for as long as
 * QEMU lives. An open-addressed hash table of records, compared byte for byte, so two blocks never share an id.
 */
#ifndef GB_DICTIONARY_H
#define GB_DICTIONARY_H

#include "trace_abi.h"

typedef struct {
    gb_block *record; /* header, lengths, bytes */
    uint64_t hash;
    uint32_t window;  /* in which it was published last */
} gb_entry;

typedef struct {
    gb_entry *entries;
    uint64_t capacity; /* a power of two */
    uint32_t count;
} gb_block_table;

/*
 * The entry for the content of `record` (its id and flags do not matter), new if there was none. NULL: no memory.
 * The entry stays where it is until the next call.
 */
gb_entry *gb_block_table_find(gb_block_table *names, const gb_block *record);

#endif
