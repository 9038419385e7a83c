/*
 * What the plugin asks QEMU about the guest, on the thread of the vCPU that it asks about: registers by name,
 * memory, where code lies in the RAM file, and which addresses are interrupt gates.
 */
#ifndef GB_GUEST_H
#define GB_GUEST_H

#include "qemu_abi_v4.h"
#include "trace_abi.h"

typedef enum {
    GB_RAX, GB_RBX, GB_RCX, GB_RDX, GB_RSI, GB_RDI, GB_RBP, GB_RSP,
    GB_R8, GB_R9, GB_R10, GB_R11, GB_R12, GB_R13, GB_R14, GB_R15,
    GB_FS_BASE, GB_GS_BASE,
    GB_RIP, GB_CS, GB_SS, GB_CR0, GB_CR3, GB_CR4, GB_EFER, GB_EFLAGS,
    GB_XMM0, GB_XMM15 = GB_XMM0 + 15,
    GB_REGISTER_COUNT,
} gb_register;

/* What this QEMU lets a plugin do, as bits GB_CAPABILITY. */
uint32_t gb_guest_capabilities(void);

/* Find the registers' handles; false if one is missing. Once, on any vCPU's thread. */
bool gb_guest_find_registers(void);

/* Present value of a register of the current vCPU; 0 if it cannot be read. */
uint64_t gb_guest_register(gb_register which);

/* Set a register of the current vCPU, in a callback that may; and have QEMU know that the page at `physical` was stored to. */
void gb_guest_set_register(gb_register which, uint64_t value);
void gb_guest_vector(gb_register which, uint64_t halves[2]);
void gb_guest_set_vector(gb_register which, const uint64_t halves[2]);
void gb_guest_mark_stored(uint64_t physical, const void *page);

/* Read `length` bytes at linear `address` into `to`; false if it is not mapped. */
bool gb_guest_read(uint64_t address, void *to, size_t length);

/* Place in the RAM file of host address `host`, GB_NO_OFFSET outside it. `inode` is that of the RAM file. */
uint64_t gb_guest_ram_offset(const void *host, uint64_t inode);

/* Host address of `offset` in the RAM file; NULL outside of it. */
uint8_t *gb_guest_ram(uint64_t offset, uint64_t inode);

/* 16, 32 or 64: how the current vCPU decodes. Segments of 16 bits in protected mode pass for 32. */
uint8_t gb_guest_mode(void);

/* The interrupt descriptor table of a vCPU, from lidt or from the daemon. */
void gb_gates_load(unsigned vcpu, uint64_t base, uint64_t limit);

/*
 * The vector whose gate leads to linear `address` in `mode`, -1 if none does. Reads the tables again, for the guest
 * may have written to them.
 */
int gb_gates_find(unsigned vcpus, uint64_t address, uint8_t mode);

/* What an interrupt pushed, read at its handler's first instruction. */
typedef struct {
    uint64_t from_pc, error;
} gb_frame;

bool gb_guest_frame(int vector, uint8_t mode, gb_frame *frame);

#endif
