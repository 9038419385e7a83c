/* What every kernel begins with: vectors of W lanes, masks, memory, and the slow ways out.

   A chunk is W lanes times R registers. 32-bit lanes are vi, vu, vf; 64-bit ones wi, wu, wd, of W/2 lanes each; halves of a
   32-bit vector hi, hu, hf. Masks are 0 or -1 in each lane. With W == 1 there are no vectors. Compilers' own builtins stand in
   for immintrin.h, which alone would double the time to compile a small kernel. */
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef __UINTPTR_TYPE__ gb_address;
#define INLINE static inline __attribute__((always_inline, unused))
#define COLD static __attribute__((cold, noinline, unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define gb_wide_i32 int64_t
#define gb_wide_u32 uint64_t
#define gb_wide_i64 __int128
#define gb_wide_u64 unsigned __int128
#define gb_builtin_32(name) __builtin_##name
#define gb_builtin_64(name) __builtin_##name##ll
#define gb_math_f32(name) __builtin_##name##f
#define gb_math_f64(name) __builtin_##name

/* Mirrored by LaunchRecord in executable.py. */
typedef struct gb_launch {
  uint32_t lanes, group;
  uint64_t groups;
  int64_t fuel;
  char *const *buffers;
  const uint64_t *lengths;
  const uint64_t *scalars;
  uint64_t traps, trap_value;
  uint32_t trap_lane, trap_site;
  uint32_t lock, abort;
  uint64_t *printed;
  uint64_t printed_words, printed_capacity, printed_lines, max_lines, dropped;
  int (*host)(uint32_t site, uint32_t lane, uint64_t *slots);
  uint64_t counts[9];
  void (*phase)(uint64_t group, int32_t line);
  uint64_t *ends; /* NULL, or for each lane that trapped its site plus one and its value */
} gb_launch;

/* What lies at an address, at any alignment. */
#define gb_at(type, from) (*(const struct { type v; } __attribute__((packed, may_alias)) *)(from)).v
#define gb_put(type, to, what) ((*(struct { type v; } __attribute__((packed, may_alias)) *)(to)).v = (what))

/* Buffers change while a kernel runs: other lanes, processes and guests write to them. A compiler may take a value twice from where it
   saw it come from, or go to, and so an index that was checked may be another one when it is used. What an asm gives, it
   knows from nowhere else: a value that gb_get read is one value, and what gb_set writes is never read back. Floats are no indexes, and
   so may be read again: what becomes of them otherwise goes through gb_once (see `value` in emit.py). */
#define gb_get(type, from) gb_once_##type(gb_at(type, from))
#define gb_set(type, to, what) gb_put(type, to, gb_once_##type(what))
#define ONCE(type, where) \
  INLINE type gb_once_##type(type v) { \
    __asm__("" : "+" where(v)); \
    return v; \
  }
#if defined(__AVX512VL__)
#define IN_VECTOR "v"
#elif defined(__x86_64__)
#define IN_VECTOR "x"
#elif defined(__aarch64__)
#define IN_VECTOR "w"
#else
#define IN_VECTOR "m"
#endif
/* Short numbers are widened as they are read, which costs nothing; that nothing else is in the register, the compiler is told. */
#define ONCE_SHORT(type, wide, least, greatest) \
  INLINE type gb_once_##type(type v) { \
    wide n = v; \
    __asm__("" : "+r"(n)); \
    if (n < (least) || n > (greatest)) __builtin_unreachable(); \
    return (type)n; \
  }
ONCE_SHORT(int8_t, int32_t, -128, 127)
ONCE_SHORT(uint8_t, uint32_t, 0, 255)
ONCE_SHORT(int16_t, int32_t, -32768, 32767)
ONCE_SHORT(uint16_t, uint32_t, 0, 65535)
ONCE(int32_t, "r")
ONCE(uint32_t, "r")
ONCE(int64_t, "r")
ONCE(uint64_t, "r")
#define gb_once__Bool(v) ((_Bool)gb_once_uint8_t(v))
#define gb_once_float(v) (v)
#define gb_once_double(v) (v)

#define CHUNK (W * R)
#if CHUNK > 32
typedef uint64_t gb_bits;
#define gb_ctz(b) __builtin_ctzll(b)
#define gb_top(b) (63 - __builtin_clzll(b))
#else
typedef uint32_t gb_bits;
#define gb_ctz(b) __builtin_ctz(b)
#define gb_top(b) (31 - __builtin_clz(b))
#endif
#define ALL ((gb_bits)(~(uint64_t)0 >> (64 - CHUNK)))
#define EACH(lane, bits) for (gb_bits left_ = (bits), lane; left_ && (lane = (gb_bits)gb_ctz(left_), 1); left_ &= left_ - 1)

/* What a launch did, in the order of `_COUNTS` in executable.py. */
enum { INSTRUCTIONS, SLOTS, LOADS, STORES, BYTES_LOADED, BYTES_STORED, BRANCHES, DIVERGENT, BARRIERS, COUNTS };
#define gb_count(bits) ((uint64_t)__builtin_popcountll(bits))

INLINE float gb_bits_f32(uint32_t b) { union { uint32_t b; float f; } u = {b}; return u.f; }
INLINE double gb_bits_f64(uint64_t b) { union { uint64_t b; double f; } u = {b}; return u.f; }

COLD void gb_trap(gb_launch *L, uint32_t lane, uint32_t site, uint64_t value) {
  __atomic_fetch_add(&L->traps, 1, __ATOMIC_RELAXED);
  if (L->ends) L->ends[2 * (uint64_t)lane] = site + 1, L->ends[2 * (uint64_t)lane + 1] = value;
  while (__atomic_exchange_n(&L->lock, 1, __ATOMIC_ACQUIRE)) {
  }
  if (lane < L->trap_lane) {
    L->trap_lane = lane, L->trap_site = site, L->trap_value = value;
  }
  __atomic_store_n(&L->lock, 0, __ATOMIC_RELEASE);
}

COLD void gb_trap_all(gb_launch *L, uint32_t lane0, gb_bits bits, uint32_t site, uint64_t value) {
  EACH(lane, bits) gb_trap(L, lane0 + lane, site, value);
}

COLD void gb_trap_each(gb_launch *L, uint32_t lane0, gb_bits bits, uint32_t site, const int64_t *values) {
  EACH(lane, bits) gb_trap(L, lane0 + lane, site, (uint64_t)values[lane]);
}

/* Lines of a print: site, lane, operands. Kernels that print run in one thread. */
COLD void gb_print(gb_launch *L, uint32_t site, uint32_t lane, uint32_t count, const uint64_t *slots) {
  if (L->printed_lines >= L->max_lines) {
    L->dropped++;
    return;
  }
  if (L->printed_words + count + 2 > L->printed_capacity) {
    uint64_t wanted = 2 * L->printed_capacity + count + 64;
    uint64_t *grown = __builtin_realloc(L->printed, wanted * sizeof *grown);
    if (!grown) {
      L->dropped++;
      return;
    }
    L->printed = grown, L->printed_capacity = wanted;
  }
  uint64_t *at = L->printed + L->printed_words;
  at[0] = site, at[1] = lane;
  for (uint32_t i = 0; i < count; i++) at[2 + i] = slots[i];
  L->printed_words += count + 2, L->printed_lines++;
}

/* Bounds as in the table: what an index outside does. */
enum { TRAP, CLAMP, PROVED };

/* Loads of a chunk at base, base + 1, ... where some lane is missing or outside; gives the lanes that go on. */
COLD gb_bits gb_slow_load(gb_launch *L, const char *p, int64_t n, int64_t base, gb_bits bits, uint32_t lane0, uint32_t site,
                          int bounds, int sign, uint32_t step, uint32_t size, char *out) {
  int64_t last = n - size / step;
  EACH(lane, bits) {
    int64_t at = sign ? (int64_t)(int32_t)(base + (int64_t)lane) : (int64_t)(uint32_t)(base + (int64_t)lane);
    if (bounds != PROVED && (at < 0 || at > last)) {
      if (bounds == TRAP) {
        gb_trap(L, lane0 + (uint32_t)lane, site, (uint64_t)at);
        bits &= ~((gb_bits)1 << lane);
        continue;
      }
      if (last < 0) {
        __builtin_memset(out + lane * size, 0, size);
        continue;
      }
      at = at < 0 ? 0 : last;
    }
    __builtin_memcpy(out + lane * size, p + at * step, size);
  }
  return bits;
}

COLD gb_bits gb_slow_store(gb_launch *L, char *p, int64_t n, int64_t base, gb_bits bits, uint32_t lane0, uint32_t site,
                           int bounds, int sign, uint32_t step, uint32_t size, const char *from) {
  int64_t last = n - size / step;
  EACH(lane, bits) {
    int64_t at = sign ? (int64_t)(int32_t)(base + (int64_t)lane) : (int64_t)(uint32_t)(base + (int64_t)lane);
    if (bounds != PROVED && (at < 0 || at > last)) {
      if (bounds == TRAP) {
        gb_trap(L, lane0 + (uint32_t)lane, site, (uint64_t)at);
        bits &= ~((gb_bits)1 << lane);
      }
      continue;
    }
    __builtin_memcpy(p + at * step, from + lane * size, size);
  }
  return bits;
}

/* Fuel. `spare` is what every lane may still burn for certain; where it ends, the lanes are looked at one by one. `burned` holds
   what each lane burned, without `parted`, its newest share. Gives the lanes that have none left. */
#define GB_GONE (-((int64_t)1 << 61))
COLD gb_bits gb_refuel(gb_launch *L, uint32_t lane0, gb_bits bits, uint32_t site, int64_t together, int64_t *burned,
                       const uint32_t *parted, int64_t *spare) {
  gb_bits spent = 0;
  int64_t least = (int64_t)1 << 30;
  for (int lane = 0; lane < CHUNK; lane++) {
    burned[lane] += parted[lane];
    int64_t left = L->fuel - together - burned[lane];
    if (left < 0 && bits >> lane & 1) {
      gb_trap(L, lane0 + (uint32_t)lane, site, 0);
      spent |= (gb_bits)1 << lane;
      burned[lane] = GB_GONE;
    } else if (left < least) {
      least = left < 0 ? 0 : left;
    }
  }
  *spare = least;
  return spent;
}

#if W > 1
#define VECTOR(type, name, lanes) typedef type name __attribute__((vector_size(sizeof(type) * (lanes)), may_alias))
VECTOR(int32_t, vi, W);
VECTOR(uint32_t, vu, W);
VECTOR(float, vf, W);
VECTOR(int64_t, wi, W / 2);
VECTOR(uint64_t, wu, W / 2);
VECTOR(double, wd, W / 2);
VECTOR(int32_t, hi, W / 2);
VECTOR(uint32_t, hu, W / 2);
VECTOR(float, hf, W / 2);
VECTOR(int8_t, b_i8, W);
VECTOR(uint8_t, b_u8, W);
VECTOR(int16_t, b_i16, W);
VECTOR(uint16_t, b_u16, W);
VECTOR(char, gb_v32, 32);

/* Vectors that are shorter than a register go through one of numbers. */
#define ONCE_AS(type, number) \
  INLINE type gb_once_##type(type v) { \
    number n; \
    __builtin_memcpy(&n, &v, sizeof n); \
    n = gb_once_##number(n); \
    __builtin_memcpy(&v, &n, sizeof n); \
    return v; \
  }
ONCE(vi, IN_VECTOR)
ONCE(vu, IN_VECTOR)
#define gb_once_vf(v) (v)
ONCE(wi, IN_VECTOR)
ONCE(wu, IN_VECTOR)
#define gb_once_wd(v) (v)
#if W == 4
ONCE_AS(b_i8, uint32_t)
ONCE_AS(b_u8, uint32_t)
ONCE_AS(b_i16, uint64_t)
ONCE_AS(b_u16, uint64_t)
#else
#if W == 8
ONCE_AS(b_i8, uint64_t)
ONCE_AS(b_u8, uint64_t)
#else
ONCE(b_i8, IN_VECTOR)
ONCE(b_u8, IN_VECTOR)
#endif
ONCE(b_i16, IN_VECTOR)
ONCE(b_u16, IN_VECTOR)
#endif

#if W == 4
#define EVERY(x) x, x, x, x
#define HALF_EVERY(x) x, x
#define COUNT 0, 1, 2, 3
#define LOW 0, 1
#define HIGH 2, 3
#elif W == 8
#define EVERY(x) x, x, x, x, x, x, x, x
#define HALF_EVERY(x) x, x, x, x
#define COUNT 0, 1, 2, 3, 4, 5, 6, 7
#define LOW 0, 1, 2, 3
#define HIGH 4, 5, 6, 7
#else
#define EVERY(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x
#define HALF_EVERY(x) x, x, x, x, x, x, x, x
#define COUNT 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define LOW 0, 1, 2, 3, 4, 5, 6, 7
#define HIGH 8, 9, 10, 11, 12, 13, 14, 15
#endif
#define gb_splat_vi(x) ((vi){EVERY(x)})
#define gb_splat_vu(x) ((vu){EVERY(x)})
#define gb_splat_vf(x) ((vf){EVERY(x)})
#define gb_splat_hi(x) ((hi){HALF_EVERY(x)})
#define gb_splat_hu(x) ((hu){HALF_EVERY(x)})
#define gb_splat_hf(x) ((hf){HALF_EVERY(x)})
#define gb_splat_wi(x) ((wi){HALF_EVERY(x)})
#define gb_splat_wu(x) ((wu){HALF_EVERY(x)})
#define gb_splat_wd(x) ((wd){HALF_EVERY(x)})
#define gb_lane_numbers ((vi){COUNT})
#define gb_low(a) __builtin_shufflevector((a), (a), LOW)
#define gb_high(a) __builtin_shufflevector((a), (a), HIGH)
#define gb_cat(a, b) __builtin_shufflevector((a), (b), COUNT)
#define gb_narrow(m) __builtin_convertvector((m), hi)
#define gb_widen(m) __builtin_convertvector((m), wi)

#if defined(__AVX512F__) && defined(__AVX512DQ__) && W == 16
#define gb_movemask(m) ((gb_bits)(uint16_t)__builtin_ia32_cvtd2mask512(m))
#elif defined(__AVX2__) && W == 8
#define gb_movemask(m) ((gb_bits)(uint32_t)__builtin_ia32_movmskps256((vf)(m)))
#elif defined(__SSE2__) && W == 4
#define gb_movemask(m) ((gb_bits)(uint32_t)__builtin_ia32_movmskps((vf)(m)))
#else
INLINE gb_bits gb_movemask(vi m) {
  gb_bits bits = 0;
  for (int i = 0; i < W; i++) bits |= (gb_bits)(m[i] & 1) << i;
  return bits;
}
#endif

#if defined(__AVX2__) && W == 8
#define gb_select(c, a, b) \
  ((__typeof__(a))__builtin_ia32_pblendvb256((gb_v32)(b), (gb_v32)(a), (gb_v32)(c)))
#else
#define gb_select(c, a, b) ((__typeof__(a))(((c) & (__typeof__(c))(a)) | (~(c) & (__typeof__(c))(b))))
#endif

/* Mask of register r from bits of a chunk. */
INLINE vi gb_expand(gb_bits bits, int r) {
  vi lane = gb_splat_vi(1) << gb_lane_numbers;
  return (vi)((gb_splat_vi((int32_t)(bits >> (r * W))) & lane) == lane);
}

/* Gathers: elements at p + scale * o for lanes of the mask; other lanes are 0 and not touched. */
#if defined(__AVX512F__) && defined(__AVX512DQ__) && W == 16
#define gb_gather_4(p, o, m, scale) \
  ((vi)__builtin_ia32_gathersiv16si((vi){0}, (p), (o), (short)__builtin_ia32_cvtd2mask512(m), (scale)))
#define gb_gather_8(p, o, m, scale) \
  ((wi)__builtin_ia32_gathersiv8di((wi){0}, (p), (o), (char)__builtin_ia32_cvtq2mask512(gb_widen(m)), (scale)))
#elif defined(__AVX2__) && W == 8 && !defined(__clang__)
#define gb_gather_4(p, o, m, scale) \
  ((vi)__builtin_ia32_gathersiv8si((vi){0}, (const void *)(p), (o), (m), (scale)))
#define gb_gather_8(p, o, m, scale) \
  ((wi)__builtin_ia32_gathersiv4di((wi){0}, (const void *)(p), (o), gb_widen(m), (scale)))
#elif defined(__AVX2__) && W == 8
#define gb_gather_4(p, o, m, scale) \
  ((vi)__builtin_ia32_gatherd_d256((vi){0}, (const void *)(p), (o), (m), (scale)))
#define gb_gather_8(p, o, m, scale) \
  ((wi)__builtin_ia32_gatherd_q256((wi){0}, (const void *)(p), (o), gb_widen(m), (scale)))
#else
#define gb_gather_4(p, o, m, scale) gb_gather_each_4((p), (o), (m), (scale))
#define gb_gather_8(p, o, m, scale) gb_gather_each_8((p), (o), (m), (scale))
INLINE vi gb_gather_each_4(const char *p, vi o, vi m, int scale) {
  vi r = {0};
  for (int i = 0; i < W; i++)
    if (m[i]) r[i] = gb_get(int32_t, p + (int64_t)o[i] * scale);
  return r;
}
INLINE wi gb_gather_each_8(const char *p, hi o, hi m, int scale) {
  wi r = {0};
  for (int i = 0; i < W / 2; i++)
    if (m[i]) r[i] = gb_get(int64_t, p + (int64_t)o[i] * scale);
  return r;
}
#endif

/* Elements of one or two bytes: the aligned word around each is read, which lies in the same page and so exists. p is a multiple
   of the element's size. */
INLINE vi gb_gather_word(const char *p, vi o, vi m) {
  int32_t skew = (int32_t)((gb_address)p & 3);
  vi at = o + skew;
  vi word = gb_gather_4(p - skew, at & ~3, m, 1);
  return (vi)((vu)word >> (vu)((at & 3) << 3));
}
#define gb_gather_i8(p, o, m) (gb_gather_word((p), (o), (m)) << 24 >> 24)
#define gb_gather_u8(p, o, m) ((vu)(gb_gather_word((p), (o), (m)) & 255))
#define gb_gather_bool(p, o, m) ((vi)((gb_gather_word((p), (o), (m)) & 255) != 0))
#define gb_gather_i16(p, o, m) (gb_gather_word((p), (o) << 1, (m)) << 16 >> 16)
#define gb_gather_u16(p, o, m) ((vu)(gb_gather_word((p), (o) << 1, (m)) & 65535))

/* Helpers of the table's vector forms. */
#define gb_signbit_f32(a) ((vi)(a) < 0)
#define gb_signbit_f64(a) ((wi)(a) < 0)
#define gb_vabs_f32(a) ((vf)((vi)(a) & 0x7fffffff))
#define gb_vabs_f64(a) ((wd)((wi)(a) & 0x7fffffffffffffff))
#define gb_rotate(U, a, b, bits) (((U)(a) << ((U)(b) & (bits - 1))) | ((U)(a) >> (-(U)(b) & (bits - 1))))
#define gb_vrotl_i8(a, b) ((vi)gb_rotate(vu, (a) & 255, b, 8))
#define gb_vrotl_u8(a, b) gb_rotate(vu, a, b, 8)
#define gb_vrotl_i16(a, b) ((vi)gb_rotate(vu, (a) & 65535, b, 16))
#define gb_vrotl_u16(a, b) gb_rotate(vu, a, b, 16)
#define gb_vrotl_i32(a, b) ((vi)gb_rotate(vu, a, b, 32))
#define gb_vrotl_u32(a, b) gb_rotate(vu, a, b, 32)
#define gb_vrotl_i64(a, b) ((wi)gb_rotate(wu, a, b, 64))
#define gb_vrotl_u64(a, b) gb_rotate(wu, a, b, 64)

INLINE vu gb_vpopcount_u32(vu a) {
  a = a - (a >> 1 & 0x55555555u);
  a = (a & 0x33333333u) + (a >> 2 & 0x33333333u);
  return ((a + (a >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
}
INLINE wu gb_vpopcount_u64(wu a) {
  a = a - (a >> 1 & 0x5555555555555555u);
  a = (a & 0x3333333333333333u) + (a >> 2 & 0x3333333333333333u);
  a = (a + (a >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  a += a >> 8, a += a >> 16, a += a >> 32;
  return a & 127;
}
INLINE vu gb_vclz_u32(vu a) {
  a |= a >> 1, a |= a >> 2, a |= a >> 4, a |= a >> 8, a |= a >> 16;
  return 32 - gb_vpopcount_u32(a);
}
INLINE wu gb_vclz_u64(wu a) {
  a |= a >> 1, a |= a >> 2, a |= a >> 4, a |= a >> 8, a |= a >> 16, a |= a >> 32;
  return 64 - gb_vpopcount_u64(a);
}
#define gb_vctz_u32(a) gb_vpopcount_u32(~(a) & ((a) - 1))
#define gb_vctz_u64(a) gb_vpopcount_u64(~(a) & ((a) - 1))
#define gb_vpopcount_i32(a) ((vi)gb_vpopcount_u32((vu)(a)))
#define gb_vpopcount_i64(a) ((wi)gb_vpopcount_u64((wu)(a)))
#define gb_vclz_i32(a) ((vi)gb_vclz_u32((vu)(a)))
#define gb_vclz_i64(a) ((wi)gb_vclz_u64((wu)(a)))
#define gb_vctz_i32(a) ((vi)gb_vctz_u32((vu)(a)))
#define gb_vctz_i64(a) ((wi)gb_vctz_u64((wu)(a)))

INLINE vu gb_vmulhi_u32(vu a, vu b) {
  wu low = __builtin_convertvector(gb_low(a), wu) * __builtin_convertvector(gb_low(b), wu) >> 32;
  wu high = __builtin_convertvector(gb_high(a), wu) * __builtin_convertvector(gb_high(b), wu) >> 32;
  return gb_cat(__builtin_convertvector(low, hu), __builtin_convertvector(high, hu));
}
INLINE vi gb_vmulhi_i32(vi a, vi b) {
  return (vi)gb_vmulhi_u32((vu)a, (vu)b) - ((a < 0) & b) - ((b < 0) & a);
}
INLINE wu gb_vmulhi_u64(wu a, wu b) {
  wu low = (a & 0xffffffffu) * (b & 0xffffffffu), middle = (a >> 32) * (b & 0xffffffffu) + (low >> 32);
  wu other = (a & 0xffffffffu) * (b >> 32) + (middle & 0xffffffffu);
  return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}
INLINE wi gb_vmulhi_i64(wi a, wi b) {
  return (wi)gb_vmulhi_u64((wu)a, (wu)b) - ((a < 0) & b) - ((b < 0) & a);
}

/* Division of 32-bit lanes in float64, which holds their quotient: two neighbours differ by more than a rounding. */
INLINE hi gb_half_div_i32(hi a, hi b) {
  return __builtin_convertvector(__builtin_convertvector(a, wd) / __builtin_convertvector(b, wd), hi);
}
INLINE vi gb_vdiv_i32(vi a, vi b) {
  vi odd = (b == 0) | (b == -1), safe = gb_select(odd, gb_splat_vi(1), b);
  vi found = gb_cat(gb_half_div_i32(gb_low(a), gb_low(safe)), gb_half_div_i32(gb_high(a), gb_high(safe)));
  return gb_select(b == -1, -a, found);
}
INLINE wd gb_half_f64_u32(hu a) { return __builtin_convertvector((hi)(a ^ 0x80000000u), wd) + 2147483648.0; }
INLINE hu gb_half_div_u32(hu a, hu b) {
  wd quotient = gb_half_f64_u32(a) / gb_half_f64_u32(b);
  wi upper = quotient >= 2147483648.0;
  hi whole = __builtin_convertvector(quotient - (wd)(upper & (wi)gb_splat_wd(2147483648.0)), hi);
  return (hu)(whole ^ (gb_narrow(upper) & (int32_t)0x80000000));
}
INLINE vu gb_vdiv_u32(vu a, vu b) {
  vu safe = gb_select((vi)(b == 0), gb_splat_vu(1), b);
  return gb_cat(gb_half_div_u32(gb_low(a), gb_low(safe)), gb_half_div_u32(gb_high(a), gb_high(safe)));
}
#define gb_vrem_i32(a, b) ((a) - gb_vdiv_i32((a), (b)) * (b) - (((b) == 0) & (a)))
INLINE vu gb_vrem_u32(vu a, vu b) { return ((vu)(b != 0)) & (a - gb_vdiv_u32(a, b) * b); }
#define gb_vdiv_i8 gb_vdiv_i32
#define gb_vdiv_i16 gb_vdiv_i32
#define gb_vdiv_u8(a, b) ((vu)gb_vdiv_i32((vi)(a), (vi)(b)))
#define gb_vdiv_u16(a, b) ((vu)gb_vdiv_i32((vi)(a), (vi)(b)))
#define gb_vrem_i8 gb_vrem_i32
#define gb_vrem_i16 gb_vrem_i32
#define gb_vrem_u8 gb_vrem_u32
#define gb_vrem_u16 gb_vrem_u32
#define LANES(type, name, parameters, expression) \
  INLINE type name parameters { \
    type r = {0}; \
    for (int i = 0; i < (int)(sizeof(type) / sizeof(r[0])); i++) r[i] = (expression); \
    return r; \
  }
LANES(wi, gb_vdiv_i64, (wi a, wi b), b[i] == 0 ? a[i] : b[i] == -1 ? -a[i] : a[i] / b[i])
LANES(wu, gb_vdiv_u64, (wu a, wu b), b[i] == 0 ? a[i] : a[i] / b[i])
LANES(wi, gb_vrem_i64, (wi a, wi b), b[i] == 0 || b[i] == -1 ? 0 : a[i] % b[i])
LANES(wu, gb_vrem_u64, (wu a, wu b), b[i] == 0 ? 0 : a[i] % b[i])

#if defined(__clang__)
#define gb_vfma_f32(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#define gb_vfma_f64(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#elif defined(__FMA__) && W == 8
#define gb_vfma_f32(a, b, c) __builtin_ia32_vfmaddps256((a), (b), (c))
#define gb_vfma_f64(a, b, c) __builtin_ia32_vfmaddpd256((a), (b), (c))
#elif defined(__AVX512F__) && W == 16
#define gb_vfma_f32(a, b, c) ((vf)__builtin_ia32_vfmaddps512_mask((a), (b), (c), -1, 4))
#define gb_vfma_f64(a, b, c) ((wd)__builtin_ia32_vfmaddpd512_mask((a), (b), (c), -1, 4))
#else
LANES(vf, gb_vfma_f32, (vf a, vf b, vf c), __builtin_fmaf(a[i], b[i], c[i]))
LANES(wd, gb_vfma_f64, (wd a, wd b, wd c), __builtin_fma(a[i], b[i], c[i]))
#endif
#if defined(__clang__)
#define gb_vsqrt_f32(a) __builtin_elementwise_sqrt(a)
#define gb_vsqrt_f64(a) __builtin_elementwise_sqrt(a)
#elif defined(__AVX__) && W == 8
#define gb_vsqrt_f32(a) __builtin_ia32_sqrtps256(a)
#define gb_vsqrt_f64(a) __builtin_ia32_sqrtpd256(a)
#else
LANES(vf, gb_vsqrt_f32, (vf a), __builtin_sqrtf(a[i]))
LANES(wd, gb_vsqrt_f64, (wd a), __builtin_sqrt(a[i]))
#endif
#if defined(__clang__)
#define ROUND(name, mode) \
  INLINE vf gb_v##name##_f32(vf a) { return __builtin_elementwise_##name(a); } \
  INLINE wd gb_v##name##_f64(wd a) { return __builtin_elementwise_##name(a); }
#elif defined(__AVX__) && W == 8
#define ROUND(name, mode) \
  INLINE vf gb_v##name##_f32(vf a) { return __builtin_ia32_roundps256(a, mode); } \
  INLINE wd gb_v##name##_f64(wd a) { return __builtin_ia32_roundpd256(a, mode); }
#else
#define ROUND(name, mode) \
  LANES(vf, gb_v##name##_f32, (vf a), __builtin_##name##f(a[i])) \
  LANES(wd, gb_v##name##_f64, (wd a), __builtin_##name(a[i]))
#endif
ROUND(floor, 9)
ROUND(ceil, 10)
ROUND(trunc, 11)
ROUND(rint, 8)
#endif
