/*
 * The trace's shared file and the words in its rings: the one place of the layout.
 *
 * The daemon makes the file (sparse, beside the RAM file), the plugin in QEMU and the reader map it.
 * Everything is little-endian; tcg_plugin/layout.py mirrors this file and a test compares the two.
 *
 *   page 0                 gb_control: geometry, the daemon's command, the plugin's answer
 *   pages 1..vcpus         gb_vcpu, one page a vCPU: head, tail, counters
 *   one page               gb_dictionary: head and tail of the dictionary's ring, in bytes
 *   dictionary_bytes       records of blocks (gb_block), each whole in one piece
 *   vcpus * ring_stride    a ring of chunks for each vCPU
 *   4 * pages, twice       heat: blocks executed in, and stores to, each page of RAM
 *   16 * pages             gb_writer: who stored last to each page of RAM
 *   1024 * GB_MAX_LEARNED  gb_learned_row: what each learned loop has done
 *
 * Rings have one producer and one consumer. The producer fills chunk `head % chunks`, then raises `head` with
 * release order; the consumer reads chunk `tail % chunks`, then raises `tail` likewise. Neither ever falls.
 * The producer holds the last free chunk back for a window's end, so WINDOW_STOP and a GAP before it always fit.
 * A block is in the dictionary before its id can be in a published chunk: read `head` first, then the
 * dictionary, then the chunks.
 */
#ifndef GB_TRACE_ABI_H
#define GB_TRACE_ABI_H

#include <stdint.h>

#include "learned_abi.h"

#define GB_TRACE_MAGIC "GBTRACE" /* with its zero, 8 bytes */
#define GB_TRACE_VERSION 7u
#define GB_PAGE_BYTES 4096u

enum {
    GB_MAX_VCPUS = 255,
    GB_MAX_RANGES = 32, /* address filters */
    GB_MAX_ROOTS = 32,  /* page-table roots to follow */
    GB_MAX_POINTS = 32, /* blocks at whose start registers are recorded */
    GB_MAX_REGIONS = 4, /* of guest-physical memory in the RAM file */
    GB_MAX_LEARNED = 64, /* learned loops */
    GB_MAX_CALLS = 512, /* numbers of system calls, from 0 */
    GB_TEXT_WORDS = 36, /* of an event TEXT, at most */
    GB_MIN_CHUNK_BYTES = 1024,
    GB_MIN_CHUNKS = 2,
};

/* gb_control.command */
enum { GB_COMMAND_DISARM = 0, GB_COMMAND_ARM = 1 };

/* gb_control.state */
enum {
    GB_STATE_ABSENT = 0,   /* no plugin has opened the file */
    GB_STATE_DISARMED = 1, /* loaded, nothing hooked */
    GB_STATE_ARMED = 2,
    GB_STATE_WAITING = 3,  /* armed, and a vCPU waits for the reader */
    GB_STATE_FAILED = 4,   /* disarmed because of what `error` says */
};

/* gb_control.mode */
enum { GB_MODE_LOSSLESS = 0, GB_MODE_LOSSY = 1 };

/* gb_control.features */
enum {
    GB_FEATURE_BLOCKS = 1,    /* ids of executed blocks */
    GB_FEATURE_EVENTS = 2,    /* page tables, syscalls, exceptions, early ends */
    GB_FEATURE_MEMORY = 4,    /* address of every load and store */
    GB_FEATURE_VALUES = 8,    /* and its value; implies MEMORY */
    GB_FEATURE_REGISTERS = 16, /* at the blocks in `points` */
    GB_FEATURE_VERIFY = 32,   /* count instructions inline, one by one; mark ambiguous blocks */
    GB_FEATURE_HEAT = 64,     /* heat for as long as the window is open; alone, no ring is used */
    GB_FEATURE_LOOPS = 128,   /* passes of `loop_head`, and registers there; alone, no ring is used */
};

/* gb_control.capabilities: what plugins may do in this QEMU; the version of its interface that brought it */
enum {
    GB_CAPABILITY_READ_REGISTERS = 1,  /* before 4 */
    GB_CAPABILITY_WRITE_REGISTERS = 2, /* 5 */
    GB_CAPABILITY_WRITE_MEMORY = 4,    /* 5; by guest-physical address */
    GB_CAPABILITY_SET_PC = 8,          /* 6 */
};

/*
 * gb_control.learned_wanted: in shadow QEMU does the work, and what the kernels of learned loops make of it is compared. In place
 * run those that are proved; UNPROVED: the others, too.
 */
enum { GB_LEARNED_OFF = 0, GB_LEARNED_SHADOW = 1, GB_LEARNED_IN_PLACE = 2, GB_LEARNED_UNPROVED = 3 };

/* gb_control.scope: which rings of privilege */
enum { GB_SCOPE_KERNEL = 1, GB_SCOPE_USER = 2 };

typedef struct {
    uint64_t start, end; /* half open; of the block's first address */
} gb_range;

typedef struct {
    uint64_t physical, offset, bytes;
} gb_region;

typedef struct {
    /* Geometry: set when the file is made. */
    char magic[8];
    uint32_t version, vcpus;
    uint64_t file_bytes;
    uint64_t dictionary_offset; /* of the page gb_dictionary; its bytes lie in the next page */
    uint64_t dictionary_bytes;  /* a power of two */
    uint64_t rings_offset, ring_stride;
    uint64_t heat_blocks_offset, heat_stores_offset, heat_pages;
    uint64_t ram_inode; /* of the RAM file, to find its mapping inside QEMU */
    uint64_t region_count;
    gb_region regions[GB_MAX_REGIONS];
    uint64_t heat_writers_offset, learned_offset;
    uint8_t pad0[48];

    /* The command, at 256: the daemon writes all of it, then raises `generation`. */
    uint32_t command, generation;
    uint32_t reader_pid; /* of who drains the rings; lossless waits end when it dies */
    uint32_t mode, features, scope;
    uint32_t chunk_bytes, chunks; /* of this window: chunk_bytes * chunks <= ring_stride */
    uint32_t range_count, root_count, point_count;
    uint32_t abandon;            /* not 0: vCPUs do not wait for the reader, they drop and count */
    uint32_t flush;              /* raised by the reader to get partly filled chunks of vCPUs that idle */
    uint32_t trigger_hits;       /* the window opens behind the block that executes trigger_address this often; 0: at once */
    uint64_t trigger_address;
    uint64_t start_instructions; /* the window opens when a vCPU has executed so many since arming; 0: at once */
    uint64_t limit_instructions; /* and closes when one has executed so many in it; 0: no limit */
    uint64_t limit_ns;           /* and after this time; 0: no limit */
    uint64_t root_mask;          /* applied to page-table roots before they are compared */
    uint64_t root_free_address;  /* the guest's function that frees a root, whose linear address is its second argument */
    uint64_t direct_map_base;    /* linear address of guest-physical 0 in the kernel */
    uint32_t heat_wanted;        /* not 0: count heat, whether a window is open or not; looked at when a vCPU resumes */
    uint32_t loop_gate;          /* LOOPS: registers are read every so many passes */
    uint64_t loop_head;          /* LOOPS: linear address at which a block starts */
    uint32_t learned_wanted;     /* looked at whenever a learned loop is met */
    uint8_t pad1[124];
    gb_range ranges[GB_MAX_RANGES];  /* at 512 */
    uint64_t roots[GB_MAX_ROOTS];    /* at 1024 */
    uint64_t points[GB_MAX_POINTS];  /* at 1280 */
    uint8_t texts[GB_MAX_CALLS];     /* at 1536: by number of a system call: bit i: argument i (0 to 5) is a text; or a GB_TEXT_OF_LENGTH */

    /* The plugin's answer, at 2048. */
    uint32_t state, acknowledged; /* the generation acted upon */
    uint32_t plugin_api, plugin_pid;
    uint32_t window;              /* windows opened so far */
    uint32_t id_count;            /* ids given out so far; the first is 1 */
    uint64_t translations;        /* blocks translated while armed */
    uint64_t armed_ns;            /* CLOCK_REALTIME of the last arming */
    uint32_t heat_on;             /* heat is counted */
    uint32_t capabilities;        /* set when the plugin is loaded */
    uint32_t learned_count;      /* loops that were loaded with the plugin */
    uint8_t pad3[204];
    char error[256];              /* at 2304 */

    uint8_t texts_32[GB_MAX_CALLS]; /* at 2560, the daemon's: as `texts`, of 32-bit programs */
    uint8_t pad4[1024];
} gb_control;

/*
 * The last store to a page of RAM. `code` names the instruction: its linear address if that is in the upper half, where
 * only a kernel is; else its place in the RAM file, for user code has no address of its own (see CODE_PAGE); ~0: not in
 * RAM. `root` is CR3 then. Both 0: no store was seen. They are written one after the other, and may be of two stores.
 */
typedef struct {
    uint64_t code, root;
} gb_writer;

/* A learned loop. `reasons` counts why kernels stopped or did not begin; `failed_`: the first comparison that failed. */
typedef struct {
    char name[64];
    uint64_t head;                         /* where it was found */
    uint64_t visits;                       /* times that its gate was reached */
    uint64_t slices, rounds, ns;           /* in place: runs of the kernel, rounds that they did, their time */
    uint64_t round_ps;                     /* the least time that QEMU took for a round of the last program, on average over some; 0: not known */
    uint64_t compared, abandoned, mismatches; /* in shadow; abandoned: the kernel of the guest came between */
    uint64_t reasons[GB_LEARNED_REASONS];
    uint64_t failed_registers[GB_LEARNED_REGISTERS]; /* on entry */
    uint64_t failed_rounds;
    uint64_t failed_place;                 /* a register's place, or the linear address of a store */
    uint64_t failed_kernel, failed_guest;  /* what the kernel made of it, and QEMU */
    uint64_t proved;                       /* as gb_learned has it */
    uint8_t pad[320];
} gb_learned_row;

/* One page a vCPU; what different threads write lies on different cache lines. */
typedef struct {
    uint64_t head; /* chunks published: producer */
    uint8_t pad0[56];
    uint64_t tail; /* chunks freed: consumer */
    uint8_t pad1[56];
    uint64_t waits, wait_ns;            /* producer: times and time that it found the ring full */
    uint64_t lost_chunks, lost_words;   /* over all windows */
    uint64_t instructions;              /* VERIFY: begun so far, as of the last published chunk */
    uint64_t value_distance;            /* this window reads values in place, so many bytes below the registers; 0: not */
    uint8_t pad2[16];
    uint64_t initial_cr3, initial_idt_base, initial_idt_limit; /* daemon: CR3 and IDT of the vCPU when it armed */
    uint64_t loop_passes, loop_samples; /* LOOPS, this window: as of the last sample, and in the end; registers were read */
    uint64_t loop_registers[16];        /* at the last sample, RAX RBX RCX RDX RSI RDI RBP RSP R8..R15 */
    uint8_t pad3[3736];
} gb_vcpu;

typedef struct {
    uint64_t head; /* bytes published */
    uint8_t pad0[56];
    uint64_t tail; /* bytes freed */
    uint8_t pad1[4024];
} gb_dictionary;

/* gb_chunk.flags */
enum {
    GB_CHUNK_FIRST = 1,   /* of a window on this vCPU */
    GB_CHUNK_LAST = 2,    /* the window is closed on this vCPU */
    GB_CHUNK_PARTIAL = 4, /* published before it was full */
};

/* Begins every chunk; `words` words follow it. */
typedef struct {
    uint64_t sequence;    /* 0, 1, 2 … within a window; chunks that were dropped are not counted */
    uint64_t time_ns;     /* CLOCK_REALTIME when it was begun */
    uint32_t words, flags;
    uint64_t lost_chunks, lost_words; /* dropped just before this one; recorded in the event stream too (GAP) */
    uint64_t instructions; /* VERIFY: begun on this vCPU until the chunk was published, else 0 */
    uint64_t root;         /* page-table root when the chunk was begun; 0: not known */
    uint32_t vcpu, window;
} gb_chunk;

/*
 * Dictionary record: this header, `instructions` bytes with their lengths, `bytes` bytes of code, zeros up to
 * a multiple of 8. An id names this content for as long as QEMU lives; every window gives the records of
 * its ids again. A record that does not fit before the ring's end is preceded by one of id 0 that fills it: only
 * `size` and `id` of such a one are there.
 */
typedef struct {
    uint32_t size, id; /* size: of the whole record */
    uint64_t address;  /* linear address of the first instruction */
    uint64_t offset;   /* in the RAM file; ~0: not in RAM */
    uint64_t offset2;  /* of the second page that the block reaches into; ~0: none */
    uint16_t instructions, bytes;
    uint8_t ring, mode; /* 0..3; 16, 32 or 64 */
    uint8_t flags, pad;
} gb_block;

#define GB_NO_OFFSET UINT64_MAX

/* gb_block.flags */
enum {
    GB_BLOCK_MARKED = 1, /* BLOCK_END follows each complete execution (VERIFY: it jumps into its own middle) */
    GB_BLOCK_GATE = 2,   /* starts at an interrupt gate: an event EXCEPTION precedes it */
    GB_BLOCK_MOVABLE = 4, /* kernel code of a time when it may run at two addresses, see CODE_PAGE */
};

/*
 * Words of a ring.
 *   0…            id of a block that begins now
 *   10…           memory access: 31..30 = 2, 29 store, 28 has value, 27..25 log2 size, 24..16 instruction in its
 *                 block, 15..0 address bits 47..32; next word address bits 31..0; then the value: 1 word (size <= 4),
 *                 2 (8) or 4 (16). Addresses are canonical in 48 bits, others come as MEM_WIDE.
 *   11…           event: 31..30 = 3, 29..24 type, 23..16 words that follow, 15..0 small
 * 64-bit values in payloads: low word first. An item is never split over chunks.
 */
#define GB_WORD_KIND(word) ((word) >> 30)
enum { GB_KIND_MEMORY = 2, GB_KIND_EVENT = 3 }; /* 0 and 1: id */

#define GB_MEMORY_WORD(store, valued, log2size, instruction, address)                                       \
    (2u << 30 | (uint32_t)(store) << 29 | (uint32_t)(valued) << 28 | (uint32_t)(log2size) << 25 |            \
     (uint32_t)(instruction) << 16 | (uint32_t)((address) >> 32 & 0xffff))

#define GB_EVENT_WORD(type, words, small)                                                                   \
    (3u << 30 | (uint32_t)(type) << 24 | (uint32_t)(words) << 16 | ((uint32_t)(small) & 0xffff))

enum {
    GB_EVENT_WINDOW_START = 1, /* 8: time_ns, root, instruction counter (VERIFY), features, scope; small: window */
    GB_EVENT_WINDOW_STOP = 2,  /* 4: time_ns, instruction counter (VERIFY); small: a GB_STOP */
    GB_EVENT_PAGE_TABLE = 3,   /* 2: CR3 that the last instruction of the block before loads (bit 63 cleared) */
    GB_EVENT_SYSCALL = 4,      /* 18: RAX, six arguments, RSP, time_ns; small: a GB_GATE. Before version 7: 2, RAX */
    GB_EVENT_SYSRET = 5,       /* 8: RAX, RSP and RIP that it returns to, time_ns; small: a GB_GATE, never INT_80, which returns
                                  with iret. Before version 7: 2, RAX */
    GB_EVENT_EXCEPTION = 6,    /* 4: from_pc, error code, 0; small: vector. Comes before the handler's block */
    GB_EVENT_IO_DONE = 7,      /* 2: address of the instruction: the block before was cut in front of it, it ran alone */
    GB_EVENT_BLOCK_END = 8,    /* 0: the block before (GB_BLOCK_MARKED) ran to its end */
    GB_EVENT_REGISTERS = 9,    /* 36: RAX RBX RCX RDX RSI RDI RBP RSP R8..R15, FS and GS base; before the block's id */
    GB_EVENT_GAP = 10,         /* 10: words lost, chunks lost, then with VERIFY the instruction counter at the first block
                                  that was lost, instructions lost, and the counter now; next comes a block */
    GB_EVENT_IDLE = 11,        /* 2: time_ns: the vCPU halts */
    GB_EVENT_RESUME = 12,      /* 2: time_ns */
    GB_EVENT_CLOCK = 13,       /* 2: time_ns; not used yet */
    GB_EVENT_RESET = 14,       /* 0: the vCPU starts at the reset vector; before the block's id */
    GB_EVENT_MEM_WIDE = 15,    /* 3 + value: a memory word without its address, then 64 bits of address */
    GB_EVENT_FILTER = 16,      /* 4: root, instruction counter (VERIFY); small 1: recording goes on here; 0: it leaves off
                                  (process filter) */
    GB_EVENT_IDT = 17,         /* 3: base, limit: loaded by the block before */
    GB_EVENT_CODE_PAGE = 18,   /* 3: page of the RAM file, virtual page number (2): see below */
    GB_EVENT_LEFT_OUT = 19,    /* 2: instructions of the blocks that came here and were left out (privilege, ranges), at
                                  most: one of them may have been cut */
    GB_EVENT_IRET = 20,        /* 8: as SYSRET: iretq goes to ring 3, from an interrupt, an exception or a system call; small 1: a program
                                  begins, all its registers are 0 */
    GB_EVENT_TEXT = 21,        /* bytes of an argument that is a text, behind its SYSCALL; small: GB_TEXT_SMALL */
};

/*
 * Where code of user space runs. QEMU shares the translation of a page of RAM between all virtual addresses at which it
 * is mapped, so gb_block.address is only where a block was first seen. For a block of ring 3 or MOVABLE, in RAM, it is
 * (virtual page of the last CODE_PAGE of this vCPU for the page offset >> 12) << 12 | (offset & 4095). The event comes
 * before the first block of a page in a window, after a GAP, after FILTER 1, and whenever the page has moved. The addresses
 * of other blocks are final: once a kernel has left the identity map that it starts in, it runs its code at one address.
 */

/* small of SYSCALL and SYSRET: how the kernel is entered. Numbers of calls by all but SYSCALL are those of 32-bit programs. */
typedef enum {
    GB_GATE_SYSCALL = 0,
    GB_GATE_INT_80 = 1,
    GB_GATE_SYSENTER = 2,
    GB_GATE_SYSCALL_32 = 3, /* syscall in compatibility mode */
} gb_gate;

/*
 * small of TEXT: which argument (0 to 5), and how many bytes. `more`: it was longer; it goes on in the next TEXT of that argument, or
 * is cut there. A text that lies in memory which is not mapped has no event, or ends with `more`.
 */
#define GB_TEXT_SMALL(argument, more, bytes) ((unsigned)(argument) | (unsigned)(more) << 3 | (unsigned)(bytes) << 4)

/* gb_control.texts: argument 1 has as many bytes as argument 2 says, as that of write has. */
enum { GB_TEXT_OF_LENGTH = 64 };

/* small of WINDOW_STOP */
enum {
    GB_STOP_ASKED = 0,
    GB_STOP_LIMIT = 1,
    GB_STOP_READER_DIED = 2,
    GB_STOP_EXIT = 3,
    GB_STOP_ROOTS_FREED = 4, /* none of gb_control.roots is a page table any more: the processes have ended */
};

_Static_assert(sizeof(gb_control) == GB_PAGE_BYTES, "the control block is a page");
_Static_assert(sizeof(gb_vcpu) == GB_PAGE_BYTES, "a vCPU's header is a page");
_Static_assert(sizeof(gb_writer) == 16, "a page's last writer has 16 bytes");
_Static_assert(sizeof(gb_learned_row) == 1024, "a learned loop has 1024 bytes");
_Static_assert(sizeof(gb_chunk) == 64, "a chunk's header is a cache line");
_Static_assert(sizeof(gb_block) == 40, "a record's header has 40 bytes");

#endif
