/*
 * The plugin's shared state: the mapped file, the current window, the ring of each vCPU. The layers above, each with a
 * header of its own and calling downwards only (tests/tcg_plugin/test_layers.py):
 *
 *   trace_plugin   what QEMU calls: install, vCPU idle and resume, reset
 *   translate      which hooks a block gets when QEMU translates it
 *   hooks          callbacks while the guest runs
 *   learned        kernels of learned loops, and where they run
 *   locked         what locked instructions load and store
 *   shadow, entry  a kernel's slice and its comparison; whether it may run, and its registers
 *   paging, direction, returns   the guest's page tables; its direction flag; whether it came back from its kernel
 *   window, memory, heat, loops   opening and closing windows; loads and stores; counters per page; a loop's head
 *   state          this file
 *   ring, dictionary, guest, values   parts that know nothing of a window
 */
#ifndef GB_STATE_H
#define GB_STATE_H

#include <pthread.h>

#include "guest.h"
#include "ring.h"
#include "words.h"

enum { PAGE_SHIFT = 12 };

/* Reached directly, not through the global offset table: the hot path has one load less. */
#pragma GCC visibility push(hidden)

typedef void gb_reset_cb_t(GB_OF_RESET);

extern qemu_plugin_id_t plugin_id;
extern gb_reset_cb_t *reset_callback; /* called by QEMU for request_reset */
extern uint8_t *file;         /* the shared file */
extern gb_control *control;   /* its first page */
extern uint32_t generation;   /* of the last command applied */
extern bool armed, closing;   /* closing: a reset that ends the window is on its way */
extern bool opened;           /* the window is open, not only armed: its trigger has fired */
extern bool triggered;
extern bool identity_map_left; /* the kernel runs in the upper half for good */
extern uint32_t hits_left;    /* of trigger_address */
extern uint32_t features;     /* of this window */
extern uint32_t stop_reason;
extern gb_ring rings[GB_MAX_VCPUS];
extern pthread_mutex_t lock;  /* of the block table, the dictionary's ring and the gates */
extern qemu_plugin_u64 begun; /* VERIFY: instructions, per vCPU */
extern qemu_plugin_u64 executed; /* instructions of whole blocks, per vCPU: for start and limit */

static inline gb_vcpu *vcpu_page(unsigned vcpu)
{
    return (gb_vcpu *)(file + GB_PAGE_BYTES) + vcpu;
}

/* Where a block of one instruction that touches memory left its ring. What writes into the ring while it runs marks the place again. */
typedef struct {
    const uint32_t *cursor;
    uint64_t sequence;
} gb_ring_place;
extern gb_ring_place last_single[GB_MAX_VCPUS];

static inline void mark_single(unsigned vcpu)
{
    last_single[vcpu] = (gb_ring_place){rings[vcpu].cursor, rings[vcpu].sequence};
}

static inline bool is_single_marked(unsigned vcpu)
{
    return last_single[vcpu].cursor == rings[vcpu].cursor && last_single[vcpu].sequence == rings[vcpu].sequence;
}

/* VERIFY: instructions begun on a vCPU since it was made, else 0. */
uint64_t begun_on(unsigned vcpu);

/* Write an event with one 64-bit value; event FILTER. */
void event_64(gb_ring *ring, unsigned type, unsigned small, uint64_t value);
void event_filter(gb_ring *ring, unsigned on, uint64_t root);

/* The event EXCEPTION of the current vCPU, which stands at the handler of `vector`; false if the frame cannot be read. */
enum { GB_EXCEPTION_WORDS = 5 };
bool put_exception(uint32_t words[GB_EXCEPTION_WORDS], int vector, uint8_t mode);

/* Report to the daemon: gb_control.state and .error. */
void set_state(uint32_t state);
void set_error(const char *sentence);

/* Whether the daemon has written a command that was not applied yet. */
bool is_command_new(void);

/* The roots of the process filter: all are page tables when a window opens; one is freed, true if it was the last. */
void keep_roots(void);
bool free_root(uint64_t root);
/* Whether the process filter lets this page-table root through. */
bool is_root_wanted(uint64_t root);

/* Ask QEMU to drop all hooks and translated code, and to call reset_callback while all vCPUs stand still. */
void request_reset(void);

/* End the window soon, from a vCPU's thread; `error` is NULL if nothing went wrong. */
void close_from_vcpu(uint32_t reason, const char *error);

/* What a vCPU asks while it waits for the reader (gb_keep_waiting); `ring` may be NULL. */
bool keep_waiting(gb_ring *ring);

#pragma GCC visibility pop

#endif
