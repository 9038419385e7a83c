/*
 * Between the plugin and the kernels of learned loops, a shared library that it opens. Kernels are C that pixel_cpu/learn/native.py
 * makes, which has the integer types from elsewhere: include <stdint.h> before this file.
 *
 * A kernel is entered at the head of its loop and goes round in place of QEMU's translation. It stops at the head, after whole
 * rounds: a round that leaves the loop, or needs what is not to be had, is taken back, and QEMU does it.
 */
#ifndef GB_LEARNED_ABI_H
#define GB_LEARNED_ABI_H

enum {
    GB_LEARNED_VERSION = 3,
    /* RAX RBX RCX RDX RSI RDI RBP RSP R8..R15, FS and GS base, the halves of XMM0..15, the lower first: places, and bits of masks */
    GB_GENERAL_REGISTERS = 18,
    GB_LEARNED_REGISTERS = 50,
};

/* Why a kernel stopped, or did not begin: counters of gb_learned_row. */
enum {
    GB_REASON_LEFT = 0,       /* the loop is left in this round */
    GB_REASON_CROSSES = 1,    /* an access reaches over the end of a page */
    GB_REASON_PAGE = 2,       /* a page is not there, or the guest has no right to it, or it is not marked as used yet */
    GB_REASON_NO_RAM = 3,     /* a page is not in RAM */
    GB_REASON_CODE_PAGE = 4,  /* a store to a page that holds translated code */
    GB_REASON_LONG_ROUND = 5, /* a round goes round inside too often, or stores too often */
    GB_REASON_FAULT = 6,      /* an exception, such as a division by zero */
    GB_REASON_PAGES = 7,      /* stores to too many pages */
    GB_REASON_MODE = 8,    /* no 64-bit program of a user */
    GB_REASON_FLAGS = 9,   /* single steps, or checked alignment */
    GB_REASON_PAGING = 10, /* a guest inside of the guest, or keys of pages */
    GB_REASON_CODE = 11,   /* the loop's instructions are others now */
    GB_REASON_SLOW = 12,    /* QEMU would have been faster */
    GB_REASON_DIRECTION = 13, /* the direction flag is set, or not known */
    GB_REASON_COMPARED = 14,  /* its rounds would pass the head of a loop that is being compared */
    GB_REASON_UNPROVED = 15,  /* it was compared often enough, but is not proved */
    GB_LEARNED_REASONS = 16,
};

/* A store that can be taken back. */
typedef struct {
    uint64_t at; /* host address, and in the bits from GB_STORE_BYTES on the number of bytes */
    uint64_t old;
} gb_store;

/* A page that was found: its linear address; 1: none. */
typedef struct {
    uint64_t address;
    uint8_t *host;
} gb_page;

enum { GB_CACHED_PAGES = 128, GB_STORE_BYTES = 56 };

typedef struct gb_pages {
    /* Host address of the page that holds linear `address`, for the rest of this call; NULL: not to be had, and `reason` says why. */
    uint8_t *(*find)(struct gb_pages *pages, uint64_t address, uint32_t is_store);
    gb_store *log; /* of the round; where `keeps`, of all rounds */
    uint32_t stores, most_stores;
    uint32_t keeps;
    uint32_t reason;
    int64_t fuel; /* rounds of inner loops; below 0: used up */
    gb_page found[2][GB_CACHED_PAGES]; /* for loads, and for stores; by page number */
} gb_pages;

/* At most `most` rounds of the loop whose head is at linear `head`, on registers and memory; returns how many were done. */
typedef uint64_t gb_kernel(uint64_t *registers, gb_pages *pages, uint64_t head, uint64_t most);

/* Instructions of a loop that follow one another; `distance` from its head. */
typedef struct {
    int64_t distance;
    uint64_t bytes;
    const uint8_t *code;
} gb_code;

typedef struct {
    uint32_t version, forward; /* forward: the direction flag must be 0 */
    uint32_t proved, unused;   /* proved: the library's kernel was proved to do what the loop does */
    uint64_t reads, writes;    /* registers */
    char name[64];
    uint64_t head;            /* where it was found; it may be mapped elsewhere */
    uint64_t codes;
    const gb_code *code;
    gb_kernel *run;
} gb_learned;

/* What the library exports: `const gb_learned gb_learned_loop`. */

#endif
