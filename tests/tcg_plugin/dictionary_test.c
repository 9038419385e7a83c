/* Unit tests of dictionary.c: the same content has the same id, other content another. */
#include "dictionary.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 100000 };

static gb_block *make(uint8_t *space, uint32_t number)
{
    gb_block *block = (gb_block *)space;
    uint32_t code = number / 8;
    memset(space, 0, 64);
    *block = (gb_block){.size = 56, .instructions = 1, .bytes = 5, .mode = 64, .offset2 = GB_NO_OFFSET};
    /* Each differs from its neighbours in one thing only. */
    block->address = 0x1000 + (number & 1);
    block->offset = number >> 1 & 1;
    block->ring = number >> 2 & 1 ? 3 : 0;
    space[40] = 5;
    memcpy(space + 41, &code, 4);
    return block;
}

int main(void)
{
    gb_block_table names = {0};
    uint8_t *space = aligned_alloc(8, 64);
    for (uint32_t number = 0; number < BLOCKS; number++) {
        gb_block *block = make(space, number);
        block->flags = (uint8_t)number;
        gb_entry *entry = gb_block_table_find(&names, block);
        CHECK(entry && entry->record->id == number + 1 && entry->window == 0);
        entry->window = 5;
    }
    for (uint32_t number = 0; number < BLOCKS; number++) {
        gb_entry *entry = gb_block_table_find(&names, make(space, number));
        CHECK(entry->record->id == number + 1 && entry->window == 5);
        CHECK(memcmp(entry->record + 1, space + 40, 16) == 0);
    }
    CHECK(names.count == BLOCKS);
    puts("test_content_is_what_an_id_names");
    for (uint64_t slot = 0; slot < names.capacity; slot++) {
        free(names.entries[slot].record);
    }
    free(names.entries), free(space);
    return 0;
}
