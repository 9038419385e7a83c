/*
 * The codec of traces: split rings into streams, encode and decode these, count instructions, check continuity.
 *
 * No QEMU and no allocation in here: memory comes from the caller, and every function states how much it may write.
 * Decoding and checking are safe on any input; invalid input is one of the errors below. Python calls
 * them through ctypes (qemu_bridge/trace/file/native.py), tests/tcg_plugin/codec_test.c under ASan and UBSan.
 *
 * Block streams are predicted by the last two successors of each block, the latest first: a hit of the first only
 * lengthens a run; anything else writes the run as a varint, `run << 1 | second`, and, where it is neither, the
 * block into another stream. docs/trace-format.md compares this with other encodings.
 */
#ifndef GB_CODEC_H
#define GB_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace_abi.h"

#define GB_API __attribute__((visibility("default")))

/* Results below zero. */
enum {
    GB_ERROR_CAPACITY = -1,  /* the output does not fit */
    GB_ERROR_WORDS = -2, /* an event or access reaches beyond the words, or is of no known form */
    GB_ERROR_SHORT = -3, /* an encoded stream ends too early */
    GB_ERROR_RANGE = -4, /* a number is outside what it may be */
    GB_ERROR_REST = -5,  /* an encoded stream goes on behind its end */
    GB_ERROR_CHUNK = -6, /* a chunk's header is not that of a chunk of this ring */
};

/* Columns that a ring's words are split into; `_capacity` in items. Positions count blocks: an item at position p
 * came after p blocks of this frame. */
typedef struct {
    uint32_t *ids;
    uint64_t id_count, id_capacity;
    uint32_t *event_words; /* each event's word and payload, one after another */
    uint64_t event_word_count, event_word_capacity;
    uint32_t *event_at, *event_offset; /* position; index into event_words */
    uint64_t event_count, event_capacity;
    uint64_t base; /* added to id_count to make a position */
} gb_columns;

/*
 * Records of blocks (gb_block) by number. An offset of ~0, and no instructions: no record has this number. Their
 * instructions stand by themselves because most blocks are asked for nothing else, and a record is a cache line each.
 */
typedef struct {
    const uint8_t *blob;
    uint64_t bytes;
    const uint64_t *offset;
    const uint16_t *instructions;
    uint64_t count;
} gb_records;

/* How a block's last instruction may go on. */
typedef enum {
    GB_FLOW_NEXT,   /* behind itself */
    GB_FLOW_BRANCH, /* there, or at `target` */
    GB_FLOW_JUMP,   /* at `target` */
    GB_FLOW_ANY,    /* anywhere: return, indirect, far, system call */
    GB_FLOW_REPEAT, /* behind itself or at itself: a string instruction with a prefix */
} gb_flow;

typedef struct {
    uint64_t target;
    uint32_t flow;
    uint32_t opcode; /* without prefixes: one byte, or 0x0f00 and the second */
} gb_ending;

/* Predicts one access of a block: accesses.h says how. */
typedef struct {
    uint64_t address, relative, value; /* last; `relative` to the access before it */
    int32_t stride, step, value_stride, value_step; /* predicted; how far it went last time */
    uint16_t meta; /* 13 store, 12 has value, 11..9 log2 size, 8..0 instruction in its block */
    uint8_t by_previous, pad[5];
} gb_slot;

/* The accesses that a block made last: `count` slots from `first` on, with space for `capacity`. */
typedef struct {
    uint32_t first;
    uint16_t count, capacity;
} gb_shape;

enum { GB_CONTENT_BITS = 16 };

/* All zeros when a frame begins, but for the pointers and rooms. */
typedef struct {
    gb_shape *shapes; /* `limit`, by id when encoding, by number + 1 when decoding; 0 is that of no block */
    gb_slot *slots;
    uint64_t *content; /* 1 << GB_CONTENT_BITS: what was last seen at an address, by a hash of it */
    uint64_t limit, slot_count, slot_capacity;
    uint64_t previous; /* address */
} gb_access_predictor;

/* State of encoding; begins as `model` does, `changed` as ~0 and `block` as the id that is open already. Streams grow
 * from where they are; gb_split wants space for its words in each. */
typedef struct {
    gb_access_predictor model;
    uint8_t *shapes;
    uint64_t shape_bytes, shape_capacity;
    uint16_t *metas;
    uint64_t meta_count, meta_capacity;
    uint8_t *addresses;
    uint64_t address_bytes, address_capacity;
    uint8_t *value_runs;
    uint64_t value_run_bytes, value_run_capacity;
    uint8_t *values;
    uint64_t value_bytes, value_capacity;
    uint64_t count; /* accesses */
    uint64_t group_run, address_run, value_run;
    uint32_t block, at, changed, is_open;
} gb_access_encoder;

typedef struct {
    const uint8_t *shapes;
    uint64_t shape_bytes;
    const uint16_t *metas;
    uint64_t meta_count;
    const uint8_t *addresses;
    uint64_t address_bytes;
    const uint8_t *value_runs;
    uint64_t value_run_bytes;
    const uint8_t *values;
    uint64_t value_bytes;
} gb_access_streams;

/* Split `count` words: append ids and events to `out`, encode accesses. 0 or an error; on error no id and no event
 * counts as read, and `accesses` is invalid. Wants in each stream of it 16 bytes of capacity a word and 64 more, a
 * quarter of that of metas, and 4 slots a word and 512 more. */
GB_API int64_t gb_split(const uint32_t *words, uint64_t count, gb_columns *out, gb_access_encoder *accesses);

/* 1 if there is the capacity that gb_split wants for `words` words, else 0. */
GB_API int64_t gb_have_capacity(const gb_access_encoder *out, uint64_t words);

/* Chunks of one vCPU's ring that are published: `next` up to `head`, as they are counted in gb_vcpu. */
typedef struct {
    const uint8_t *chunks; /* `chunk_count` of `chunk_bytes` */
    uint64_t chunk_bytes, chunk_count, next, head;
    uint64_t *tail; /* raised with `next`, when a chunk was split */
    uint64_t vcpu;
} gb_published;

/* A chunk's header, and the vCPU's first block in it: as in a trace file. */
typedef struct {
    gb_chunk chunk;
    uint64_t first_block;
} gb_taken_chunk;

/*
 * Split and free published chunks, up to one that is the last of a window, or with which `most_ids` ids or `most_accesses`
 * accesses wait. Returns how many were `taken`, or an error: of the header or words of a chunk, which is freed then, or
 * GB_ERROR_CAPACITY if there is not the capacity for the words of the next. `first_block` is that of the first of `out`.
 */
GB_API int64_t gb_split_chunks(gb_published *from, uint64_t first_block, uint64_t most_ids, uint64_t most_accesses,
                               gb_columns *out, gb_access_encoder *accesses, gb_taken_chunk *taken, uint64_t capacity);

/* End the streams of a frame; they are empty if it had no access. */
GB_API int64_t gb_end_accesses(gb_access_encoder *out);

/* Exactly `count` accesses of a frame whose vCPU ran `blocks` (numbers, ended by `following` if that is not ~0): position, meta,
 * address, and two words of value each, zeros where there is none. Never needs more than 4 slots for each meta. */
GB_API int64_t gb_decode_accesses(gb_access_predictor *model, const gb_access_streams *in, const uint32_t *blocks,
                                  uint64_t block_count, uint32_t following, uint64_t count, uint32_t *at, uint16_t *meta,
                                  uint64_t *address, uint64_t *value);

/* Offsets of the events in `words`; returns how many there are. */
GB_API int64_t gb_event_offsets(const uint32_t *words, uint64_t count, uint32_t *offset, uint64_t capacity);

/* State of gb_encode_blocks; begin with zeros, `previous` too, and a successor table of zeros. */
typedef struct {
    uint32_t *successors; /* 2 for each of `limit` ids */
    uint32_t *local;      /* number of an id in this frame's dictionary + 1; 0: not in it yet */
    uint32_t *order;      /* ids in that dictionary's order */
    uint64_t limit, local_count;
    uint64_t run;
    uint32_t previous, pad;
} gb_encoder;

/* Encode `count` ids; `runs` needs space for 10 bytes an id + 10, `misses` for one word an id. */
GB_API int64_t gb_encode_blocks(gb_encoder *state, const uint32_t *ids, uint64_t count, uint8_t *runs,
                                uint64_t *run_bytes, uint64_t run_capacity, uint32_t *misses, uint64_t *miss_count,
                                uint64_t miss_capacity);

/* Write the last run. */
GB_API int64_t gb_encode_end(gb_encoder *state, uint8_t *runs, uint64_t *run_bytes, uint64_t run_capacity);

/* Decode exactly `count` blocks, all below `limit`; `successors` has 2 * limit words of any content. */
GB_API int64_t gb_decode_blocks(const uint8_t *runs, uint64_t run_bytes, const uint32_t *misses, uint64_t miss_count,
                                uint32_t *successors, uint64_t limit, uint32_t *out, uint64_t count);

/* Ascending numbers as varints of their differences. */
GB_API int64_t gb_encode_ascending(uint32_t *previous, const uint32_t *values, uint64_t count, uint8_t *out,
                                   uint64_t capacity);
GB_API int64_t gb_decode_ascending(const uint8_t *bytes, uint64_t size, uint32_t *values, uint64_t count,
                                   uint64_t limit);

/* Offsets and instructions of the records in `blob`, in order; checks each. Returns how many records there are, or an
 * error; fillers (id 0) are passed over. `largest` gets the largest id, also when the capacity is too small. */
GB_API int64_t gb_index_records(const uint8_t *blob, uint64_t bytes, uint64_t base, uint64_t *offset,
                                uint16_t *instructions, uint64_t capacity, uint32_t *largest);

/*
 * Instructions begun in each of `count` blocks, given the block after the last (or ~0): all of a block unless something
 * cut it. Events lie at positions base + index. `begun` may be NULL if only the sum is wanted. Returns the sum.
 */
GB_API int64_t gb_begun(const gb_records *records, const uint32_t *blocks, uint64_t count, uint32_t next,
                        const uint32_t *event_at, const uint32_t *event_offset, uint64_t event_count,
                        const uint32_t *event_words, uint64_t event_word_count, uint64_t base, uint16_t *begun);

/*
 * Linear address at which each of `count` blocks ran. Records in RAM of ring 3 belong to a slot: `slots` has it for each
 * record (~0: none), `pages` the page of RAM for each slot, ascending, and `homes` its virtual page when the blocks
 * begin (~0: not known), which CODE_PAGE events change; it is left as it is at the end.
 */
GB_API int64_t gb_addresses(const gb_records *records, const uint32_t *slots, const uint32_t *pages, uint64_t *homes,
                            uint64_t page_count, const uint32_t *blocks, uint64_t count, const uint32_t *event_at,
                            const uint32_t *event_offset, uint64_t event_count, const uint32_t *event_words,
                            uint64_t event_word_count, uint64_t *address);

/* How each record ends. */
GB_API int64_t gb_endings(const gb_records *records, gb_ending *endings);

/* What gb_check found at block `index`. */
typedef struct {
    uint64_t index;
    uint32_t kind, event;
} gb_finding;

enum {
    GB_FOUND_JUMP = 1,        /* the block does not follow from the one before, and nothing explains it */
    GB_FOUND_EXCEPTION = 2,   /* an exception's from_pc does not follow from the block before */
    GB_FOUND_PAGE_TABLE = 3,  /* PAGE_TABLE behind a block that does not end in mov cr3 */
    GB_FOUND_SYSCALL = 4,     /* SYSCALL behind a block that does not end in syscall */
    GB_FOUND_SYSRET = 5,
    GB_FOUND_IO = 6,          /* IO_DONE at an address that is not in the block before */
    GB_FOUND_END = 7,         /* BLOCK_END behind a block that is not marked */
};

/*
 * Continuity of `count` blocks: every start follows from the block before, or an event explains it. `previous` is the
 * block before the first (~0: none), which ran at `previous_address`.
 * Returns how many findings there are, of which the first `capacity` are written.
 */
GB_API int64_t gb_check(const gb_records *records, const gb_ending *endings, const uint32_t *blocks, uint64_t count,
                        const uint64_t *address, uint32_t previous, uint64_t previous_address,
                        const uint32_t *event_at, const uint32_t *event_offset, uint64_t event_count,
                        const uint32_t *event_words, uint64_t event_word_count, gb_finding *findings, uint64_t capacity);

#endif
