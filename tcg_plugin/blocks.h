/* The dictionary record of a block that QEMU translates, and its id. */
#ifndef GB_BLOCKS_H
#define GB_BLOCKS_H

#include "state.h"

enum { MAX_INSTRUCTIONS = 512, MAX_BYTES = MAX_INSTRUCTIONS * 15 };

typedef struct {
    _Alignas(8) uint8_t bytes[sizeof(gb_block) + MAX_INSTRUCTIONS + MAX_BYTES + 8];
} gb_record_buffer;

#pragma GCC visibility push(hidden)

/* The record of a block, without id and flags, built in `buffer`. */
gb_block *describe_block(const struct qemu_plugin_tb *tb, gb_record_buffer *buffer);

/* The id of `block`, after publishing its record if this window has not; 0: out of memory or ids. */
uint32_t assign_id(gb_block *block);

#pragma GCC visibility pop

#endif
