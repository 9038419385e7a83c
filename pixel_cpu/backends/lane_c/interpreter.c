/* Runs tables of steps, one lane after another, with the frames, parts and status of the kernel that they are translated to later.

   A lane stops only where a part begins, and leaves what that kernel would: another launch of either goes on from there. Frames of
   functions that neither stop nor call themselves lie in memory of the thread. */
typedef struct { uint16_t step, to, a, b; uint64_t more; } gb_step;
typedef struct { uint32_t place, size, parameters, results, kind; int32_t type, part; } gb_function;
typedef struct { int64_t buffer, stride, sizes, minimum, most; } gb_elements; /* a table; sizes: -1 where it has always its first one */
typedef struct { int64_t buffer, length, dropped; } gb_segment; /* dropped: -1 where no code drops it */

/* In the order of HEAD in interpreter.py: places of buffers, and sizes. */
typedef struct {
  int64_t memory, pages, frames, part, frame, status, wanted, spent, code, offsets, parts, functions, branches, elements, segments;
  int64_t stack_cells, stride, minimum, posting, posts, posted, posted_bytes;
} gb_head;

enum { DIRECT, MEMBER, HOST_CALL };
enum { RUNNABLE, WAITING, RETURNED = 3, TRAPPED };
enum { PAGE = 1 << 16, RETURN_PART = 0, CALLER = 1, HEAD = 2 };

#define GET_i32(c) ((int32_t)(uint32_t)(c))
#define GET_i64(c) ((int64_t)(c))
#define GET_f32(c) gb_bits_f32((uint32_t)(c))
#define GET_f64(c) gb_bits_f64(c)
#define PUT_i32(v) ((uint64_t)(uint32_t)(v))
#define PUT_i64(v) ((uint64_t)(v))
INLINE uint64_t PUT_f32(float v) { union { float f; uint32_t b; } u = {v}; return u.b; }
INLINE uint64_t PUT_f64(double v) { union { double f; uint64_t b; } u = {v}; return u.b; }
#define PUT_bool(v) ((uint64_t)(v))

/* COMPUTATIONS */

/* As the front end's function `post`: keeps what a call writes to a stream. Gives the fuel that this burns, or -1 where the host is to be asked. */
enum { STREAMS, USED, LAST, COUNT, WIDTH, DESCRIPTOR_BITS = 5, MAX_PIECES = 16 };
static int64_t gb_post(const gb_head *H, char *const *p, uint32_t lane, char *memory, uint64_t bytes, const uint64_t *given) {
  uint32_t *const row = (uint32_t *)p[H->posts] + (uint64_t)lane * WIDTH;
  char *const kept = p[H->posted] + (uint64_t)lane * (uint64_t)H->posted_bytes;
  const uint64_t room = (uint64_t)H->posted_bytes;
  const uint32_t fd = (uint32_t)given[0], count = (uint32_t)given[2];
  const uint64_t pieces = (uint32_t)given[1], total_at = (uint32_t)given[3];
  if (fd >= 1u << DESCRIPTOR_BITS || !(row[STREAMS] >> fd & 1) || count > MAX_PIECES) return -1;
  if (pieces + 8 * count > bytes || total_at + 4 > bytes) return -1;
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t at = gb_at(uint32_t, memory + pieces + 8 * i), length = gb_at(uint32_t, memory + pieces + 8 * i + 4);
    if (length > room || at + length > bytes) return -1;
    total += length;
  }
  uint32_t used = row[USED], last = row[LAST];
  if (used + total + 4 > room) return -1;
  uint32_t head = gb_at(uint32_t, kept + last);
  if (used && (head & ((1u << DESCRIPTOR_BITS) - 1)) == fd) head = head >> DESCRIPTOR_BITS;
  else head = 0, last = used, used += 4;
  gb_put(uint32_t, kept + last, (head + (uint32_t)total) << DESCRIPTOR_BITS | fd);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = gb_at(uint32_t, memory + pieces + 8 * i), length = gb_at(uint32_t, memory + pieces + 8 * i + 4);
    __builtin_memcpy(kept + used, memory + at, length);
    used += length;
  }
  row[USED] = used, row[LAST] = last, row[COUNT]++;
  gb_put(uint32_t, memory + total_at, (uint32_t)total);
  return 2 * (int64_t)count + (int64_t)total;
}

static void gb_lane(gb_launch *const L, const gb_head *const H, uint32_t lane, uint64_t *const scratch) {
  static const void *const labels[] = {/* LABELS */};
  char *const *const p = L->buffers + 1; /* behind the head */
  const gb_step *const code = (const gb_step *)p[H->code];
  const uint32_t *const parts = (const uint32_t *)p[H->parts], *const branches = (const uint32_t *)p[H->branches];
  const gb_function *const functions = (const gb_function *)p[H->functions];
  const gb_elements *const tables = (const gb_elements *)p[H->elements];
  const gb_segment *const segments = (const gb_segment *)p[H->segments];
  uint64_t *const cells = (uint64_t *)p[H->frames] + (uint64_t)lane * (uint64_t)H->stack_cells;
  char *const memory = H->memory < 0 ? 0 : p[H->memory] + (uint64_t)lane * (uint64_t)H->stride;
  int32_t *const pages = H->pages < 0 ? 0 : (int32_t *)p[H->pages] + lane;
  uint64_t bytes = pages ? (uint64_t)(uint32_t)*pages * PAGE : (uint64_t)H->minimum * PAGE;
  const uint64_t share = (uint32_t)L->scalars[0];
  uint64_t left = share, came = left;
  int64_t spare = L->fuel;
  uint32_t frame = ((uint32_t *)p[H->frame])[lane], reason;
  int32_t part = ((int32_t *)p[H->part])[lane];
  uint64_t *fp = cells + frame, *given = fp;
  const gb_step *at;

#define NEXT do { at++; goto *labels[at->step]; } while (0)
#define HERE goto *labels[at->step]
#define FAIL(why) do { reason = (why); goto trapped; } while (0)
#define JUMP(where) do { \
    const gb_step *to_ = code + (uint32_t)(where); \
    if (to_ <= at && UNLIKELY(--spare < 0)) FAIL(OUT_OF_FUEL); \
    at = to_; HERE; } while (0)
#define ROOM(count) do { \
    int64_t room_ = H->stack_cells - (int64_t)at->to - (int64_t)(count); \
    if (UNLIKELY(room_ < 0 || frame > (uint64_t)room_)) FAIL(EXHAUSTED); } while (0)

  ((uint32_t *)p[H->status])[lane] = TRAPPED;
go:
  came = left;
  if (UNLIKELY(!left)) { reason = RUNNABLE; goto leave; }
  if (UNLIKELY(part < 0)) { reason = RETURNED; goto leave; }
  at = code + parts[part]; /* its step counts it */
  HERE;

L_part:
  part = (int32_t)at->more;
  came = left;
  if (UNLIKELY(!left)) { reason = RUNNABLE; goto leave; }
  left--;
  if (UNLIKELY(--spare < 0)) FAIL(OUT_OF_FUEL);
  NEXT;
L_zero:
  for (uint64_t i = 0; i < at->more; i++) fp[at->to + i] = 0;
  NEXT;
L_null:
  for (uint64_t i = 0; i < at->more; i++) fp[at->to + i] = 0xffffffffu;
  NEXT;
L_const: fp[at->to] = at->more; NEXT;
L_move: fp[at->to] = fp[at->a]; NEXT;
L_jump: JUMP(at->more);
L_if: if ((uint32_t)fp[at->a]) JUMP(at->more); NEXT;
L_unless: if (!(uint32_t)fp[at->a]) JUMP(at->more); NEXT;
L_table: {
  uint32_t chosen = (uint32_t)fp[at->a], count = (uint32_t)(at->more >> 32);
  JUMP(branches[(uint32_t)at->more + (chosen < count ? chosen : count)]);
}
L_leave:
  part = (int32_t)(uint32_t)fp[RETURN_PART];
  frame = (uint32_t)fp[CALLER];
  fp = cells + frame;
  goto go;
L_leave_direct:
  given = fp;
  at = code + (uint32_t)given[RETURN_PART];
  fp = (uint64_t *)(gb_address)given[CALLER];
  HERE;
L_enter: {
  const gb_function *f = functions + (uint32_t)at->more;
  uint64_t *callee = fp + at->to;
  ROOM(f->size);
  for (uint32_t i = 0; i < at->b; i++) callee[HEAD + i] = fp[at->a + i];
  callee[RETURN_PART] = (uint32_t)(at->more >> 32), callee[CALLER] = frame;
  frame += at->to, fp = callee, part = f->part;
  at = code + f->place;
  HERE;
}
#define POST(function, given) \
  if ((int64_t)(function) == H->posting) { \
    int64_t burnt_ = gb_post(H, p, lane, memory, bytes, (given)); \
    if (burnt_ >= 0) { \
      if (UNLIKELY((spare -= burnt_) < 0)) FAIL(OUT_OF_FUEL); \
      (given)[0] = 0, part = (int32_t)(at->more >> 32); \
      goto go; \
    } \
  }
L_ask: {
  ROOM(HEAD + at->b);
  const gb_function *f = functions + (uint32_t)at->more;
  for (uint32_t i = 0; i < f->parameters; i++) fp[at->to + HEAD + i] = fp[at->a + i];
  POST((uint32_t)at->more, fp + at->to + HEAD)
  ((int32_t *)p[H->wanted])[lane] = (int32_t)(uint32_t)at->more;
  part = (int32_t)(at->more >> 32), reason = WAITING;
  goto leave;
}
#define DIRECT_CALL(f, where) do { \
    uint64_t *callee = (where); \
    for (uint32_t i = 0; i < (f)->parameters; i++) callee[HEAD + i] = fp[at->a + i]; \
    callee[RETURN_PART] = (uint64_t)(at + 1 - code), callee[CALLER] = (uint64_t)(gb_address)fp; \
    fp = callee; \
    at = code + (f)->place; HERE; } while (0)
L_enter_direct: DIRECT_CALL(functions + (uint32_t)at->more, scratch);
L_enter_nested: DIRECT_CALL(functions + (uint32_t)at->more, fp + at->to);
#define SIZE_OF(t) ((t)->sizes < 0 ? (uint64_t)(t)->minimum : (uint64_t)((const uint32_t *)p[(t)->sizes])[lane])
#define ELEMENTS_OF(t) ((int32_t *)p[(t)->buffer] + (uint64_t)lane * (uint64_t)(t)->stride)
#define LEFT_OF(s) ((s)->dropped >= 0 && ((const int32_t *)p[(s)->dropped])[lane] ? 0 : (uint64_t)(s)->length)
#define CALLEE \
  const gb_elements *t = tables + ((uint32_t)at->more >> 24); \
  uint32_t index = (uint32_t)fp[at->b]; \
  if (UNLIKELY(index >= SIZE_OF(t))) FAIL(UNDEFINED); \
  int32_t number = ELEMENTS_OF(t)[index]; \
  if (UNLIKELY(number < 0)) FAIL(UNINITIALIZED); \
  const gb_function *f = functions + number; \
  if (UNLIKELY(f->type != (int32_t)(at->more & 0xffffff))) FAIL(MISMATCH);
L_enter_indirect: {
  CALLEE
  if (f->kind == DIRECT) DIRECT_CALL(f, scratch);
  uint32_t most = f->parameters > f->results ? f->parameters : f->results;
  ROOM(f->kind == HOST_CALL ? HEAD + most : f->size);
  uint64_t *callee = fp + at->to;
  for (uint32_t i = 0; i < f->parameters; i++) callee[HEAD + i] = fp[at->a + i];
  if (f->kind == HOST_CALL) {
    POST((uint32_t)number, callee + HEAD)
    ((int32_t *)p[H->wanted])[lane] = number;
    part = (int32_t)(at->more >> 32), reason = WAITING;
    goto leave;
  }
  callee[RETURN_PART] = (uint32_t)(at->more >> 32), callee[CALLER] = frame;
  frame += at->to, fp = callee, part = f->part;
  at = code + f->place;
  HERE;
}
L_enter_indirect_direct: { CALLEE DIRECT_CALL(f, scratch); }
L_enter_indirect_nested: { CALLEE DIRECT_CALL(f, fp + at->to); }
L_take: for (uint32_t i = 0; i < at->b; i++) fp[at->to + i] = fp[at->a + HEAD + i]; NEXT;
L_take_direct: for (uint32_t i = 0; i < at->b; i++) fp[at->to + i] = given[HEAD + i]; NEXT;
L_spill:
  ROOM(HEAD + at->b + at->a);
  for (uint32_t i = 0; i < at->b; i++) fp[at->a + HEAD + i] = given[HEAD + i];
  NEXT;
L_unreachable: FAIL(UNREACHABLE);
L_select: fp[at->to] = (uint32_t)fp[at->more] ? fp[at->a] : fp[at->b]; NEXT;
L_global_get32: fp[at->to] = ((const uint32_t *)p[at->more])[lane]; NEXT;
L_global_get64: fp[at->to] = ((const uint64_t *)p[at->more])[lane]; NEXT;
L_global_set32: ((uint32_t *)p[at->more])[lane] = (uint32_t)fp[at->a]; NEXT;
L_global_set64: ((uint64_t *)p[at->more])[lane] = fp[at->a]; NEXT;
L_memory_size: fp[at->to] = bytes / PAGE; NEXT;
L_memory_grow: {
  uint64_t old = bytes / PAGE, more = (uint32_t)fp[at->a];
  fp[at->to] = 0xffffffffu;
  if (old + more <= (uint64_t)H->stride / PAGE) {
    *pages = (int32_t)(old + more), bytes = (old + more) * PAGE;
    fp[at->to] = old;
  }
  NEXT;
}
L_memory_copy: {
  uint64_t to = (uint32_t)fp[at->to], from = (uint32_t)fp[at->a], count = (uint32_t)fp[at->b];
  if (UNLIKELY(from + count > bytes || to + count > bytes)) FAIL(OUT_OF_MEMORY);
  if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
  __builtin_memmove(memory + to, memory + from, count);
  NEXT;
}
L_memory_init: {
  const gb_segment *s = segments + at->more;
  uint64_t to = (uint32_t)fp[at->to], from = (uint32_t)fp[at->a], count = (uint32_t)fp[at->b];
  if (UNLIKELY(from + count > LEFT_OF(s) || to + count > bytes)) FAIL(OUT_OF_MEMORY);
  if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
  __builtin_memcpy(memory + to, p[s->buffer] + from, count);
  NEXT;
}
L_memory_fill: {
  uint64_t to = (uint32_t)fp[at->to], count = (uint32_t)fp[at->b];
  if (UNLIKELY(to + count > bytes)) FAIL(OUT_OF_MEMORY);
  if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
  __builtin_memset(memory + to, (int)(fp[at->a] & 255), count);
  NEXT;
}
L_table_get: {
  const gb_elements *t = tables + at->more;
  uint32_t index = (uint32_t)fp[at->a];
  if (UNLIKELY(index >= SIZE_OF(t))) FAIL(OUT_OF_TABLE);
  fp[at->to] = (uint32_t)ELEMENTS_OF(t)[index];
  NEXT;
}
L_table_set: {
  const gb_elements *t = tables + at->more;
  uint32_t index = (uint32_t)fp[at->a];
  if (UNLIKELY(index >= SIZE_OF(t))) FAIL(OUT_OF_TABLE);
  ELEMENTS_OF(t)[index] = (int32_t)(uint32_t)fp[at->b];
  NEXT;
}
L_table_size: fp[at->to] = SIZE_OF(tables + at->more); NEXT;
L_table_grow: {
  const gb_elements *t = tables + at->more;
  uint64_t old = SIZE_OF(t), count = (uint32_t)fp[at->a];
  int32_t value = (int32_t)(uint32_t)fp[at->b];
  fp[at->to] = 0xffffffffu;
  if (count <= (uint64_t)t->most - old) {
    if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
    for (uint64_t i = 0; i < count; i++) ELEMENTS_OF(t)[old + i] = value;
    ((uint32_t *)p[t->sizes])[lane] = (uint32_t)(old + count);
    fp[at->to] = old;
  }
  NEXT;
}
L_table_fill: {
  const gb_elements *t = tables + at->more;
  uint64_t to = (uint32_t)fp[at->to], count = (uint32_t)fp[at->b];
  if (UNLIKELY(to + count > SIZE_OF(t))) FAIL(OUT_OF_TABLE);
  if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
  for (uint64_t i = 0; i < count; i++) ELEMENTS_OF(t)[to + i] = (int32_t)(uint32_t)fp[at->a];
  NEXT;
}
L_table_copy: {
  const gb_elements *t = tables + (uint32_t)at->more, *s = tables + (at->more >> 32);
  uint64_t to = (uint32_t)fp[at->to], from = (uint32_t)fp[at->a], count = (uint32_t)fp[at->b];
  if (UNLIKELY(from + count > SIZE_OF(s) || to + count > SIZE_OF(t))) FAIL(OUT_OF_TABLE);
  if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
  __builtin_memmove(ELEMENTS_OF(t) + to, ELEMENTS_OF(s) + from, 4 * count);
  NEXT;
}
L_table_init: {
  const gb_elements *t = tables + (uint32_t)at->more;
  const gb_segment *s = segments + (at->more >> 32);
  uint64_t to = (uint32_t)fp[at->to], from = (uint32_t)fp[at->a], count = (uint32_t)fp[at->b];
  if (UNLIKELY(from + count > LEFT_OF(s) || to + count > SIZE_OF(t))) FAIL(OUT_OF_TABLE);
  if (UNLIKELY((spare -= (int64_t)count) < 0)) FAIL(OUT_OF_FUEL);
  __builtin_memcpy(ELEMENTS_OF(t) + to, (const int32_t *)p[s->buffer] + from, 4 * count);
  NEXT;
}
L_drop_segment: ((int32_t *)p[segments[at->more].dropped])[lane] = 1; NEXT;
L_lane: fp[at->to] = lane; NEXT;
L_lanes: fp[at->to] = L->lanes; NEXT;
#define LOAD(type, extended, put) do { \
    uint64_t where = (uint64_t)(uint32_t)fp[at->a] + at->more; \
    if (UNLIKELY(where + sizeof(type) > bytes)) FAIL(OUT_OF_MEMORY); \
    fp[at->to] = put((extended)gb_at(type, memory + where)); NEXT; } while (0)
#define STORE(type) do { \
    uint64_t where = (uint64_t)(uint32_t)fp[at->a] + at->more; \
    if (UNLIKELY(where + sizeof(type) > bytes)) FAIL(OUT_OF_MEMORY); \
    gb_put(type, memory + where, (type)fp[at->b]); NEXT; } while (0)

/* STEPS */

trapped:
  ((int32_t *)p[H->part])[lane] = part;
  ((uint32_t *)p[H->frame])[lane] = frame;
  gb_trap(L, lane, reason, ((const uint32_t *)p[H->offsets])[at - code]);
  return;
leave:
  ((int32_t *)p[H->part])[lane] = part;
  ((uint32_t *)p[H->frame])[lane] = frame;
  ((uint32_t *)p[H->status])[lane] = reason;
  ((uint32_t *)p[H->spent])[lane] = (uint32_t)(share - came);
}

const uint64_t gb_info0[4] = {1, 1, 1, 0};

void gb_kernel0(gb_launch *L, char *scratch, uint64_t first, uint64_t last) {
  const gb_head *H = (const gb_head *)L->buffers[0];
  for (uint64_t unit = first; unit < last; unit++)
    if (((const uint32_t *)L->buffers[1 + H->status])[unit] == RUNNABLE) gb_lane(L, H, (uint32_t)unit, (uint64_t *)scratch);
}
