/*
 * What the parts of the plugin share. window.c opens and closes windows, hooks.c and memory.c are called while the guest
 * runs, translate.c decides which block gets which hook, trace_plugin.c is what QEMU knows of.
 */
#ifndef GB_PLUGIN_H
#define GB_PLUGIN_H

#include <pthread.h>

#include "dictionary.h"
#include "guest.h"
#include "ring.h"

enum { PAGE_SHIFT = 12 };

/* Reached directly, not by way of a table: the hot path has one load less. */
#pragma GCC visibility push(hidden)

extern qemu_plugin_id_t plugin_id;
extern uint8_t *file;         /* the shared file */
extern gb_control *control;   /* its first page */
extern uint32_t generation;   /* of the last command seen */
extern bool armed, closing;   /* closing: a reset was asked for that ends the window */
extern bool opened;           /* the window is open, not only armed: its trigger has come */
extern bool trigger_came;
extern bool settled;          /* the kernel has left the identity map that it started in */
extern uint32_t hits_left;    /* of trigger_address */
extern uint32_t features;     /* of this window */
extern uint32_t stop_reason;
extern gb_ring rings[GB_MAX_VCPUS];
extern pthread_mutex_t lock;  /* of names, the dictionary's ring and the gates */
extern qemu_plugin_u64 begun; /* VERIFY: instructions, per vCPU */
extern qemu_plugin_u64 executed; /* of whole blocks, per vCPU: for start and limit */

static inline void put_64(uint32_t *words, uint64_t value)
{
    words[0] = (uint32_t)value;
    words[1] = (uint32_t)(value >> 32);
}

static inline gb_vcpu *vcpu_page(unsigned vcpu)
{
    return (gb_vcpu *)(file + GB_PAGE_BYTES) + vcpu;
}

/* window.c */
void event_64(gb_ring *ring, unsigned type, unsigned small, uint64_t value);
void event_filter(gb_ring *ring, unsigned on, uint64_t root);
void set_state(uint32_t state);
void fail(const char *sentence);
void ask_for_reset(void);
bool is_command_new(void);
void close_from_vcpu(uint32_t reason, const char *sentence); /* end the window soon; NULL: nothing went wrong */
bool keep_waiting(gb_ring *ring);
bool is_root_wanted(uint64_t root);
bool arm(void); /* all vCPUs stand still in these three */
void open_all_rings(void);
void close_window(uint32_t reason);

/* hooks.c */
qemu_plugin_vcpu_udata_cb_t on_block, on_user_block, on_block_of_one, on_user_block_of_one;
qemu_plugin_vcpu_udata_cb_t on_block_alone, on_user_block_alone, on_left_out;
qemu_plugin_vcpu_udata_cb_t on_page_table, on_trigger, on_enough_to_start, on_enough, on_invalidation, on_settled, on_syscall;
qemu_plugin_vcpu_udata_cb_t on_exception, on_start_of_machine, on_block_end, on_registers;
void mark_alone(unsigned vcpu); /* a block of one instruction is here in its ring */
qemu_plugin_vcpu_mem_cb_t on_memory_alone, on_lidt;

/* memory.c */
void find_memory_bits(void); /* once, before memory is recorded */
void forget_values(void);    /* a window begins: all vCPUs stand still */
qemu_plugin_vcpu_mem_cb_t on_access_alone;
qemu_plugin_vcpu_mem_cb_t *memory_hook(bool valued); /* of instructions that are translated now */

/* heat.c */
extern bool heat_on;
void heat_begin(void);
qemu_plugin_vcpu_udata_cb_t on_heat_block, on_heat_root, on_heat_moved;
qemu_plugin_vcpu_mem_cb_t on_heat_store;

/* translate.c */
void on_translation(GB_OF_TRANSLATION);

/* trace_plugin.c */
void on_reset(GB_OF_RESET);

#pragma GCC visibility pop

#endif
