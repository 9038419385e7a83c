/* See blocks.h. */
#include "blocks.h"

#include <string.h>
#include <unistd.h>

#include "dictionary.h"

static gb_block_table known;

gb_block *describe_block(const struct qemu_plugin_tb *tb, gb_record_buffer *buffer)
{
    gb_block *block = (gb_block *)buffer->bytes;
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

/* Waits while the dictionary's ring is full, even in a lossy window: without the record the id means nothing. */
static void publish_record(const gb_block *record)
{
    gb_dictionary *ring = (gb_dictionary *)(file + control->dictionary_offset);
    uint8_t *bytes = (uint8_t *)(ring + 1);
    for (unsigned turns = 1; !gb_dictionary_put(ring, bytes, control->dictionary_bytes, record); turns++) {
        usleep(50);
        if (turns % 2000 == 0 && !keep_waiting(NULL)) {
            if (!__atomic_load_n(&closing, __ATOMIC_ACQUIRE)) {
                close_from_vcpu(GB_STOP_READER_DIED, "no reader takes the dictionary; start the reader and arm again");
            }
            return;
        }
    }
}

uint32_t assign_id(gb_block *block)
{
    uint32_t id = 0;
    pthread_mutex_lock(&lock);
    gb_entry *entry = gb_block_table_find(&known, block);
    if (entry) {
        id = entry->record->id;
        block->flags |= entry->record->flags & GB_BLOCK_MOVABLE;
        control->id_count = known.count;
        if (entry->window != control->window || entry->record->flags != block->flags) {
            entry->window = control->window;
            entry->record->flags = block->flags;
            publish_record(entry->record);
        }
    }
    pthread_mutex_unlock(&lock);
    return id;
}
