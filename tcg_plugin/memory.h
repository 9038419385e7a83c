/* Recording of loads and stores. */
#ifndef GB_MEMORY_H
#define GB_MEMORY_H

#include "state.h"

#pragma GCC visibility push(hidden)

/* Find out where QEMU keeps size and direction of an access. Once, before memory is recorded. */
void find_memory_bits(void);

/* Forget where values were found. A window begins: all vCPUs stand still. */
void forget_values(void);

/* The callback for the instructions that are translated now; its userdata is what pack_access makes. */
qemu_plugin_vcpu_mem_cb_t *memory_hook(bool valued);

/* What is known of the word of an access when it is translated. */
static inline void *pack_access(size_t instruction, bool valued)
{
    return (void *)(uintptr_t)(GB_MEMORY_WORD(0, valued, 0, 0, UINT64_C(0)) | instruction << 16);
}

/* Up to 16 bytes, what an access does not have being 0. */
typedef struct {
    uint64_t low, high;
} gb_value;

typedef struct {
    uint64_t address;
    uint32_t instruction; /* its number in the block << 16; bits of its word that follow from the rest may be set too */
    bool is_store, is_valued;
    unsigned log2size;
    gb_value value;
} gb_access;

/* The value of an access, as QEMU reports it. */
gb_value value_of(qemu_plugin_meminfo_t info);

/* Record an access of which all is known. */
void put_known(gb_ring *ring, gb_access access);

/* Record any access, with its value if `valued`: the slow path. `instruction` as in gb_access. */
void put_access(gb_ring *ring, qemu_plugin_meminfo_t info, uint64_t address, uint32_t instruction, bool valued);

#pragma GCC visibility pop

#endif
