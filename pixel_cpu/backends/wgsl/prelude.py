"""The WGSL functions that the table of operations names, as text: `functions` gives those that a shader uses.

Values are held so: `bool` as ``bool``; signed integers up to 32 bits as ``i32``, unsigned ones as ``u32``, always within their
range; 64-bit integers as ``i64`` and ``u64`` where the device has them, else as pairs, ``vec2<u32>`` with the low word first; floats
as themselves. What a function gives for 8 and 16 bits the caller wraps. naga folds constants and refuses some, orders ``!=``
so that a NaN equals everything, aborts on 64-bit ``countLeadingZeros``, and Mesa drops a rounding to `f32` and back: hence some
detours below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ...ir.types import INTEGERS, SIGNED, Type

WIDE = (Type.I64, Type.U64)
"""Integers that may be held as pairs."""


def held(kind: Type, pairs: bool) -> str:
    """The WGSL type that holds values of a type."""
    if kind in WIDE:
        return "vec2<u32>" if pairs else kind.value
    if kind.is_integer:
        return f"{kind.value[0]}32"
    return kind.value


def zero(kind: Type, pairs: bool) -> str:
    """The zero of a type."""
    return f"{held(kind, pairs)}()"


def functions(text: str, pairs: bool) -> str:
    """The functions of the prelude that `text` uses, also through others, each after what it uses."""
    library = _library(pairs)
    found: dict[str, str] = {}

    def visit(used: str) -> None:
        for name in dict.fromkeys(re.findall(r"\bgb_\w+(?=\()", used)):
            if name in library and name not in found:
                visit(library[name].partition("{")[2])
                found[name] = library[name]

    visit(text)
    return "\n".join(found.values())


@cache
def _library(pairs: bool) -> dict[str, str]:
    parts = [_WORDS, _FLOATS, _DOUBLES, _PAIRS if pairs else _NATIVE]
    texts = [text for part in parts for text in part.strip().split("\n\n")]
    texts += [*_narrow(), *_conversions(pairs), *_bitcasts(pairs), *_indexes(pairs)]
    return {text.partition("(")[0].removeprefix("fn "): text for text in texts}


def _narrow() -> Iterator[str]:
    """What differs between the integers of up to 32 bits."""
    for kind in INTEGERS:
        if kind in WIDE:
            continue
        t, w, bits = kind.value, held(kind, False), kind.bits
        head = f"(a: {w}, b: {w}) -> {w}"
        if bits < 32:
            yield f"fn gb_wrap_{t}(a: {w}) -> {w} {{ return extractBits(a, 0u, {bits}u); }}"
        minus = " if b == -1i { return -a; }" if kind.is_signed else ""
        yield f"fn gb_div_{t}{head} {{ if b == {w}(0) {{ return a; }}{minus} return a / b; }}"
        odd = " || b == -1i" if kind.is_signed else ""
        yield f"fn gb_rem_{t}{head} {{ if b == {w}(0){odd} {{ return {w}(0); }} return a % b; }}"
        count = f"(u32(b) & {bits - 1}u)"
        yield f"fn gb_shl_{t}{head} {{ return a << {count}; }}"
        yield f"fn gb_shr_{t}{head} {{ return a >> {count}; }}"
        unsigned = "u32(a)" if bits == 32 else f"(u32(a) & {(1 << bits) - 1}u)"
        yield (
            f"fn gb_rotl_{t}{head} {{ let n = {count}; let x = {unsigned}; "
            f"return {w}((x << n) | (x >> (({bits}u - n) & {bits - 1}u))); }}"
        )


def _conversions(pairs: bool) -> Iterator[str]:
    """``gb_convert_T_R`` of each two types."""
    for kind in Type:
        for result in Type:
            if pairs and {kind, result} & {Type.F64}:
                continue
            body = _conversion(kind, result, pairs)
            yield (
                f"fn gb_convert_{kind.value}_{result.value}(a: {held(kind, pairs)}) -> {held(result, pairs)} "
                f"{{ {body} }}"
            )


def _conversion(kind: Type, result: Type, pairs: bool) -> str:
    w, r = held(result, pairs), result.value
    if kind is result:
        return "return a;"
    if result is Type.BOOL:
        if kind.is_float:
            return f"return !(a == {kind.value}(0));"
        return "return (a.x | a.y) != 0u;" if pairs and kind in WIDE else f"return a != {held(kind, pairs)}(0);"
    if kind is Type.BOOL:
        if result.is_float:
            return f"return gb_bits_{r}(select(u{result.bits}(0), bitcast<u{result.bits}>({w}(1)), a));"
        one = "vec2<u32>(1u, 0u)" if pairs and result in WIDE else f"{w}(1)"
        return f"return select({zero(result, pairs)}, {one}, a);"
    if kind.is_float and result.is_float:
        # Mesa takes a rounding followed by its inverse for nothing.
        return "return bitcast<f32>(bitcast<u32>(f32(a)) ^ gb_p.zero);" if result is Type.F32 else "return f64(a);"
    if kind.is_float:
        return _truncation(kind, result)
    if result.is_float:
        if kind not in WIDE:
            return f"return gb_bits_{r}(bitcast<u{result.bits}>({r}(a)));"  # what a constant becomes is hidden as well
        if result is Type.F64:
            t = kind.value
            high = f"f64(bitcast<i32>(gb_{t}_high(a)))" if kind.is_signed else f"f64(gb_{t}_high(a))"
            return f"return {high} * 4294967296.0lf + f64(gb_{t}_low(a));"
        if kind.is_signed:
            return (
                "let h = gb_i64_high(a); let l = gb_i64_low(a); if (h >> 31u) == 0u { return gb_words_f32(l, h); } "
                "return -gb_words_f32(~l + 1u, ~h + select(0u, 1u, l == 0u));"
            )
        return "return gb_words_f32(gb_u64_low(a), gb_u64_high(a));"
    if kind in WIDE and result in WIDE:
        return "return a;" if pairs else f"return bitcast<{r}>(a);"
    if kind in WIDE:
        return f"return {w}(gb_{kind.value}_low(a));"
    if result in WIDE:
        high = "u32(a >> 31u)" if kind.is_signed else "0u"
        return f"return gb_pack_{r}(u32(a), {high});"
    return f"return {w}(a);"


def _truncation(kind: Type, result: Type) -> str:
    f, end = kind.value, "f" if kind is Type.F32 else "lf"
    lowest, beyond = float(result.least), float(result.greatest + 1)
    nan = "gb_is_nan_f32(a)" if kind is Type.F32 else "gb_is_nan_f64(a)"
    if result in WIDE:
        t = result.value
        body = (
            f"if {nan} {{ return gb_pack_{t}(0u, 0u); }} "
            f"if a >= {beyond!r}{end} {{ return gb_pack_{t}(0xffffffffu, {'0x7fffffffu' if result.is_signed else '0xffffffffu'}); }} "
        )
        if result.is_signed:
            body += f"if a < {lowest!r}{end} {{ return gb_pack_{t}(0u, 0x80000000u); }} let m = abs(a); "
        else:
            body += f"if a < 1.0{end} {{ return gb_pack_{t}(0u, 0u); }} let m = a; "
        body += (
            f"let h = u32(m * {2.0**-32!r}{end}); let l = u32(m - {f}(h) * 4294967296.0{end}); "
            if kind is Type.F32
            else "let h = u32(m * 2.3283064365386963e-10lf); let l = u32(trunc(m) - f64(h) * 4294967296.0lf); "
        )
        if result.is_signed:
            return body + (
                f"if a < 0.0{end} {{ return gb_pack_{t}(~l + 1u, ~h + select(0u, 1u, l == 0u)); }} "
                f"return gb_pack_{t}(l, h);"
            )
        return body + f"return gb_pack_{t}(l, h);"
    w = held(result, False)
    least = f"bitcast<i32>(0x{result.least & 0xFFFFFFFF:x}u)" if result.is_signed else "0u"
    most = f"{result.greatest}{w[0]}"
    return (
        f"if {nan} {{ return {w}(0); }} if a >= {beyond!r}{end} {{ return {most}; }} "
        f"if a <= {lowest!r}{end} {{ return {least}; }} return {w}(a);"
    )


def _bitcasts(pairs: bool) -> Iterator[str]:
    for kind in Type:
        for result in Type:
            if kind is Type.BOOL or result is Type.BOOL or kind.bits != result.bits:
                continue
            if pairs and Type.F64 in (kind, result):
                continue
            a, r = held(kind, pairs), held(result, pairs)
            body = "a" if a == r else f"bitcast<{r}>(a)"
            yield f"fn gb_bitcast_{kind.value}_{result.value}(a: {a}) -> {r} {{ return {body}; }}"


def _indexes(pairs: bool) -> Iterator[str]:
    """An index as ``u32``, beyond every length where it is negative or too large; and the nearest one up to `last`."""
    for kind in (Type.I32, Type.U32, *WIDE):
        t, w = kind.value, held(kind, pairs)
        if kind in WIDE:
            body = f"return select(0xffffffffu, gb_{t}_low(a), gb_{t}_high(a) == 0u);"
            below = f"if (gb_{t}_high(a) >> 31u) == 1u {{ return 0u; }} " if kind.is_signed else ""
        else:
            body, below = "return u32(a);", "if a < 0i { return 0u; } " if kind.is_signed else ""
        yield f"fn gb_index_{t}(a: {w}) -> u32 {{ {body} }}"
        yield f"fn gb_nearest_{t}(a: {w}, last: u32) -> u32 {{ {below}return min(gb_index_{t}(a), last); }}"
        low = f"gb_{t}_low(a)" if kind in WIDE else "u32(a)"
        high = f"gb_{t}_high(a)" if kind in WIDE else "u32(a >> 31u)" if kind in SIGNED else "0u"
        yield f"fn gb_words_{t}(a: {w}) -> vec2<u32> {{ return vec2<u32>({low}, {high}); }}"


_WORDS = """
fn gb_mulhi_u32(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu; let ah = a >> 16u; let bl = b & 0xffffu; let bh = b >> 16u;
  let m = ah * bl + ((al * bl) >> 16u); let n = al * bh + (m & 0xffffu);
  return ah * bh + (m >> 16u) + (n >> 16u);
}

fn gb_mulhi_i32(a: i32, b: i32) -> i32 {
  return i32(gb_mulhi_u32(u32(a), u32(b)) - select(0u, u32(b), a < 0i) - select(0u, u32(a), b < 0i));
}

fn gb_clz_u32(a: u32) -> u32 { return countLeadingZeros(a); }

fn gb_clz_i32(a: i32) -> i32 { return i32(countLeadingZeros(u32(a))); }

fn gb_ctz_u32(a: u32) -> u32 { return countTrailingZeros(a); }

fn gb_ctz_i32(a: i32) -> i32 { return i32(countTrailingZeros(u32(a))); }

fn gb_popcount_u32(a: u32) -> u32 { return countOneBits(a); }

fn gb_popcount_i32(a: i32) -> i32 { return i32(countOneBits(u32(a))); }

fn gb_words_f32(l: u32, h: u32) -> f32 {
  if h == 0u { return f32(l); }
  let n = countLeadingZeros(h);
  let x = select((h << n) | (l >> ((32u - n) & 31u)), h, n == 0u);
  let rest = l << n;
  return f32(x | select(0u, 1u, rest != 0u)) * bitcast<f32>((159u - n) << 23u);
}
"""

_FLOATS = """
fn gb_is_nan_f32(a: f32) -> bool { return (bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u; }

fn gb_neg_f32(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) ^ 0x80000000u); }

fn gb_abs_f32(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) & 0x7fffffffu); }

fn gb_bits_f32(a: u32) -> f32 { return bitcast<f32>(a ^ gb_p.zero); }

fn gb_quiet_f32(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) | 0x400000u); }

fn gb_min_f32(a: f32, b: f32) -> f32 {
  if gb_is_nan_f32(a) { return gb_quiet_f32(a); }
  if gb_is_nan_f32(b) { return gb_quiet_f32(b); }
  if a < b || (a == b && (bitcast<u32>(a) >> 31u) == 1u) { return a; }
  return b;
}

fn gb_max_f32(a: f32, b: f32) -> f32 {
  if gb_is_nan_f32(a) { return gb_quiet_f32(a); }
  if gb_is_nan_f32(b) { return gb_quiet_f32(b); }
  if a > b || (a == b && (bitcast<u32>(b) >> 31u) == 1u) { return a; }
  return b;
}

fn gb_is_huge_f32(a: f32) -> bool { return (bitcast<u32>(a) & 0x7f800000u) == 0x7f800000u; }

fn gb_sin_f32(a: f32) -> f32 { if gb_is_huge_f32(a) { return gb_bits_f32(0x7fc00000u); } return sin(a); }

fn gb_cos_f32(a: f32) -> f32 { if gb_is_huge_f32(a) { return gb_bits_f32(0x7fc00000u); } return cos(a); }

fn gb_tan_f32(a: f32) -> f32 { if gb_is_huge_f32(a) { return gb_bits_f32(0x7fc00000u); } return tan(a); }

fn gb_asin_f32(a: f32) -> f32 { if !(abs(a) <= 1.0f) { return gb_bits_f32(0x7fc00000u); } return asin(a); }

fn gb_acos_f32(a: f32) -> f32 { if !(abs(a) <= 1.0f) { return gb_bits_f32(0x7fc00000u); } return acos(a); }

fn gb_atan_f32(a: f32) -> f32 { if gb_is_nan_f32(a) { return a; } return atan(a); }

fn gb_tanh_f32(a: f32) -> f32 {
  if gb_is_nan_f32(a) { return a; }
  if abs(a) < 0.0004f { return a; }
  return tanh(clamp(a, -20.0f, 20.0f));
}

fn gb_exp_f32(a: f32) -> f32 {
  if gb_is_nan_f32(a) { return a; }
  if a > 88.72284f { return gb_bits_f32(0x7f800000u); }
  return exp(max(a, -200.0f));
}

fn gb_exp2_f32(a: f32) -> f32 {
  if gb_is_nan_f32(a) { return a; }
  if a >= 128.0f { return gb_bits_f32(0x7f800000u); }
  return exp2(max(a, -200.0f));
}

fn gb_log_f32(a: f32) -> f32 { return gb_log2_f32(a) * 0.6931471805599453f; }

fn gb_log2_f32(a: f32) -> f32 {
  if gb_is_nan_f32(a) || a == bitcast<f32>(gb_p.zero | 0x7f800000u) { return a; }
  if a == 0.0f { return gb_bits_f32(0xff800000u); }
  if a < 0.0f { return gb_bits_f32(0x7fc00000u); }
  if a < 1.1754943508222875e-38f { return log2(a * 8388608.0f) - 23.0f; }
  return log2(a);
}

fn gb_pow_f32(a: f32, b: f32) -> f32 {
  let inf = gb_bits_f32(0x7f800000u); let size = gb_abs_f32(a);
  if b == 0.0f || a == 1.0f { return 1.0f; }
  if gb_is_nan_f32(a) || gb_is_nan_f32(b) { return gb_bits_f32(0x7fc00000u); }
  if gb_abs_f32(b) == inf {
    if size == 1.0f { return 1.0f; }
    return select(0.0f, inf, (size > 1.0f) == (b > 0.0f));
  }
  let whole = trunc(b) == b;
  let odd = whole && abs(b) < 16777216.0f && (u32(abs(b)) & 1u) == 1u;
  let sign = select(0u, 0x80000000u, odd && (bitcast<u32>(a) >> 31u) == 1u);
  var found = 0.0f;
  if size == 0.0f || size == inf {
    found = select(0.0f, inf, (size == inf) == (b > 0.0f));
  } else {
    if a < 0.0f && !whole { return gb_bits_f32(0x7fc00000u); }
    found = gb_exp2_f32(b * gb_log2_f32(size));
  }
  return bitcast<f32>(bitcast<u32>(found) | sign);
}
"""

_DOUBLES = """
fn gb_bits_f64(a: u64) -> f64 { return bitcast<f64>(a ^ u64(gb_p.zero)); }

fn gb_is_nan_f64(a: f64) -> bool { return (bitcast<u64>(a) & 0x7ffffffffffffffflu) > 0x7ff0000000000000lu; }

fn gb_neg_f64(a: f64) -> f64 { return bitcast<f64>(bitcast<u64>(a) ^ (1lu << 63u)); }

fn gb_abs_f64(a: f64) -> f64 { return bitcast<f64>(bitcast<u64>(a) & 0x7ffffffffffffffflu); }

fn gb_quiet_f64(a: f64) -> f64 { return bitcast<f64>(bitcast<u64>(a) | (1lu << 51u)); }

fn gb_min_f64(a: f64, b: f64) -> f64 {
  if gb_is_nan_f64(a) { return gb_quiet_f64(a); }
  if gb_is_nan_f64(b) { return gb_quiet_f64(b); }
  if a < b || (a == b && (bitcast<u64>(a) >> 63u) == 1lu) { return a; }
  return b;
}

fn gb_max_f64(a: f64, b: f64) -> f64 {
  if gb_is_nan_f64(a) { return gb_quiet_f64(a); }
  if gb_is_nan_f64(b) { return gb_quiet_f64(b); }
  if a > b || (a == b && (bitcast<u64>(b) >> 63u) == 1lu) { return a; }
  return b;
}

fn gb_trunc_f64(a: f64) -> f64 {
  let bits = bitcast<u64>(a); let e = u32(bits >> 52u) & 2047u;
  if e < 1023u { return bitcast<f64>(bits & (1lu << 63u)); }
  if e >= 1075u { return a; }
  return bitcast<f64>(bits & ~((1lu << (1075u - e)) - 1lu));
}

fn gb_nearest_f64(a: f64) -> f64 {
  if !(abs(a) < 4503599627370496.0lf) { return a; }
  let sum = bitcast<f64>(bitcast<u64>(abs(a) + 4503599627370496.0lf) ^ u64(gb_p.zero));
  return bitcast<f64>(bitcast<u64>(sum - 4503599627370496.0lf) | (bitcast<u64>(a) & (1lu << 63u)));
}

fn gb_pack_f64(l: u32, h: u32) -> f64 { return bitcast<f64>((u64(h) << 32u) | u64(l)); }

fn gb_f64_low(a: f64) -> u32 { return u32(bitcast<u64>(a) & 0xfffffffflu); }

fn gb_f64_high(a: f64) -> u32 { return u32(bitcast<u64>(a) >> 32u); }
"""


def _both(text: str) -> str:
    """A text for `u64` and again for `i64`."""
    return "\n\n".join(text.strip().replace("@", kind) for kind in ("u64", "i64"))


_NATIVE = (
    _both("""
fn gb_div_@(a: @, b: @) -> @ { if b == @(0) { return a; } if b == ~@(0) && @(0) > ~@(0) { return -a; } return a / b; }

fn gb_shl_@(a: @, b: @) -> @ { return a << (u32(b & @(63)) & 63u); }

fn gb_shr_@(a: @, b: @) -> @ { return a >> (u32(b & @(63)) & 63u); }

fn gb_rotl_@(a: @, b: @) -> @ {
  let n = u32(b & @(63)); let x = bitcast<u64>(a);
  return bitcast<@>((x << n) | (x >> ((64u - n) & 63u)));
}

fn gb_@_low(a: @) -> u32 { return u32(bitcast<u64>(a) & 0xfffffffflu); }

fn gb_@_high(a: @) -> u32 { return u32(bitcast<u64>(a) >> 32u); }

fn gb_pack_@(l: u32, h: u32) -> @ { return bitcast<@>((u64(h) << 32u) | u64(l)); }

fn gb_popcount_@(a: @) -> @ { return @(countOneBits(gb_@_low(a)) + countOneBits(gb_@_high(a))); }

fn gb_clz_@(a: @) -> @ {
  let h = gb_@_high(a);
  return @(select(countLeadingZeros(h), 32u + countLeadingZeros(gb_@_low(a)), h == 0u));
}

fn gb_ctz_@(a: @) -> @ {
  let l = gb_@_low(a);
  return @(select(countTrailingZeros(l), 32u + countTrailingZeros(gb_@_high(a)), l == 0u));
}
""").replace("if b == ~u64(0) && u64(0) > ~u64(0) { return -a; } ", "")
    + """

fn gb_rem_u64(a: u64, b: u64) -> u64 { if b == 0lu { return 0lu; } return a % b; }

fn gb_rem_i64(a: i64, b: i64) -> i64 { if b == 0li || b == -1li { return 0li; } return a % b; }

fn gb_mulhi_u64(a: u64, b: u64) -> u64 {
  let al = a & 0xfffffffflu; let ah = a >> 32u; let bl = b & 0xfffffffflu; let bh = b >> 32u;
  let m = ah * bl + ((al * bl) >> 32u); let n = al * bh + (m & 0xfffffffflu);
  return ah * bh + (m >> 32u) + (n >> 32u);
}

fn gb_mulhi_i64(a: i64, b: i64) -> i64 {
  let x = bitcast<u64>(a); let y = bitcast<u64>(b);
  return bitcast<i64>(gb_mulhi_u64(x, y) - select(0lu, y, a < 0li) - select(0lu, x, b < 0li));
}
"""
)

_PAIRS = (
    (
        _both("""
fn gb_add_@(a: P, b: P) -> P { let l = a.x + b.x; return P(l, a.y + b.y + select(0u, 1u, l < a.x)); }

fn gb_sub_@(a: P, b: P) -> P { return P(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x)); }

fn gb_mul_@(a: P, b: P) -> P { return P(a.x * b.x, gb_mulhi_u32(a.x, b.x) + a.x * b.y + a.y * b.x); }

fn gb_and_@(a: P, b: P) -> P { return a & b; }

fn gb_or_@(a: P, b: P) -> P { return a | b; }

fn gb_xor_@(a: P, b: P) -> P { return a ^ b; }

fn gb_not_@(a: P) -> P { return ~a; }

fn gb_neg_@(a: P) -> P { return gb_sub_u64(P(0u, 0u), a); }

fn gb_abs_@(a: P) -> P { if (a.y >> 31u) == 1u { return gb_neg_@(a); } return a; }

fn gb_shl_@(a: P, b: P) -> P {
  let n = b.x & 63u;
  if n == 0u { return a; }
  if n >= 32u { return P(0u, a.x << (n - 32u)); }
  return P(a.x << n, (a.y << n) | (a.x >> (32u - n)));
}

fn gb_rotl_@(a: P, b: P) -> P { return gb_shl_u64(a, b) | gb_shr_u64(a, P((64u - (b.x & 63u)) & 63u, 0u)); }

fn gb_@_low(a: P) -> u32 { return a.x; }

fn gb_@_high(a: P) -> u32 { return a.y; }

fn gb_pack_@(l: u32, h: u32) -> P { return P(l, h); }

fn gb_popcount_@(a: P) -> P { return P(countOneBits(a.x) + countOneBits(a.y), 0u); }

fn gb_clz_@(a: P) -> P { return P(select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u), 0u); }

fn gb_ctz_@(a: P) -> P { return P(select(countTrailingZeros(a.x), 32u + countTrailingZeros(a.y), a.x == 0u), 0u); }

fn gb_eq_@(a: P, b: P) -> bool { return a.x == b.x && a.y == b.y; }

fn gb_ne_@(a: P, b: P) -> bool { return a.x != b.x || a.y != b.y; }

fn gb_le_@(a: P, b: P) -> bool { return !gb_lt_@(b, a); }

fn gb_gt_@(a: P, b: P) -> bool { return gb_lt_@(b, a); }

fn gb_ge_@(a: P, b: P) -> bool { return !gb_lt_@(a, b); }

fn gb_min_@(a: P, b: P) -> P { return select(b, a, gb_lt_@(a, b)); }

fn gb_max_@(a: P, b: P) -> P { return select(b, a, gb_lt_@(b, a)); }

fn gb_select_@(a: bool, b: P, c: P) -> P { return select(c, b, a); }
""")
        + """

fn gb_lt_u64(a: P, b: P) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }

fn gb_lt_i64(a: P, b: P) -> bool {
  let x = bitcast<i32>(a.y); let y = bitcast<i32>(b.y);
  return x < y || (x == y && a.x < b.x);
}

fn gb_shr_u64(a: P, b: P) -> P {
  let n = b.x & 63u;
  if n == 0u { return a; }
  if n >= 32u { return P(a.y >> (n - 32u), 0u); }
  return P((a.x >> n) | (a.y << (32u - n)), a.y >> n);
}

fn gb_shr_i64(a: P, b: P) -> P {
  let n = b.x & 63u; let h = bitcast<i32>(a.y);
  if n == 0u { return a; }
  if n >= 32u { return P(u32(h >> (n - 32u)), u32(h >> 31u)); }
  return P((a.x >> n) | (a.y << (32u - n)), u32(h >> n));
}

fn gb_divide_u64(a: P, b: P) -> vec4<u32> {
  var q = a; var r = P(0u, 0u);
  for (var i = 0u; i < 64u; i++) {
    let carry = r.y >> 31u;
    r = P((r.x << 1u) | (q.y >> 31u), (r.y << 1u) | (r.x >> 31u));
    q = P(q.x << 1u, (q.y << 1u) | (q.x >> 31u));
    if carry == 1u || !gb_lt_u64(r, b) { r = gb_sub_u64(r, b); q.x = q.x | 1u; }
  }
  return vec4<u32>(q.x, q.y, r.x, r.y);
}

fn gb_div_u64(a: P, b: P) -> P { if (b.x | b.y) == 0u { return a; } return gb_divide_u64(a, b).xy; }

fn gb_rem_u64(a: P, b: P) -> P { if (b.x | b.y) == 0u { return P(0u, 0u); } return gb_divide_u64(a, b).zw; }

fn gb_div_i64(a: P, b: P) -> P {
  if (b.x | b.y) == 0u { return a; }
  let q = gb_divide_u64(gb_abs_i64(a), gb_abs_i64(b)).xy;
  if ((a.y ^ b.y) >> 31u) == 1u { return gb_neg_i64(q); }
  return q;
}

fn gb_rem_i64(a: P, b: P) -> P {
  if (b.x | b.y) == 0u { return P(0u, 0u); }
  let r = gb_divide_u64(gb_abs_i64(a), gb_abs_i64(b)).zw;
  if (a.y >> 31u) == 1u { return gb_neg_i64(r); }
  return r;
}

fn gb_mulhi_u64(a: P, b: P) -> P {
  let ll = gb_mulhi_u32(a.x, b.x);
  let m = gb_add_u64(P(a.y * b.x, gb_mulhi_u32(a.y, b.x)), P(ll, 0u));
  let n = gb_add_u64(P(a.x * b.y, gb_mulhi_u32(a.x, b.y)), P(m.x, 0u));
  return gb_add_u64(gb_add_u64(P(a.y * b.y, gb_mulhi_u32(a.y, b.y)), P(m.y, 0u)), P(n.y, 0u));
}

fn gb_mulhi_i64(a: P, b: P) -> P {
  var found = gb_mulhi_u64(a, b);
  if (a.y >> 31u) == 1u { found = gb_sub_u64(found, b); }
  if (b.y >> 31u) == 1u { found = gb_sub_u64(found, a); }
  return found;
}
"""
    )
    .replace("P(", "vec2<u32>(")
    .replace(": P", ": vec2<u32>")
    .replace("-> P", "-> vec2<u32>")
)
