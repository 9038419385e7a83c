"""What the table's NumPy forms name, for one lane: `ir.numerics` once more on scalars, and what reaches memory and the host.

Operands have the exact type of the table; an integer result may be wider and is wrapped by the caller. Numba and LLVM are untyped:
the parameters of an intrinsic are Numba's types, those of its `build` values of LLVM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...ir.types import Type

_Build = Callable[..., Any]

TYPES = {kind: types.boolean if kind is Type.BOOL else getattr(types, kind.dtype.name) for kind in Type}
"""Numba's type of each scalar type."""


def _built(build: _Build) -> _Build:
    """Code of an intrinsic whose operands have one type: `build(builder, type, *operands)`."""
    return lambda context, builder, signature, operands: build(builder, signature.args[0], *operands)


@intrinsic
def count_ones(typing: Any, a: Any) -> Any:
    """Set bits."""
    return a(a), _built(lambda builder, _, x: builder.ctpop(x))


@intrinsic
def leading_zeros(typing: Any, a: Any) -> Any:
    """Zero bits above the highest set one; the width for 0."""
    return a(a), _built(lambda builder, _, x: builder.ctlz(x, ir.Constant(ir.IntType(1), 0)))


@intrinsic
def trailing_zeros(typing: Any, a: Any) -> Any:
    """Zero bits below the lowest set one; the width for 0."""
    return a(a), _built(lambda builder, _, x: builder.cttz(x, ir.Constant(ir.IntType(1), 0)))


@intrinsic
def shift_count(typing: Any, b: Any) -> Any:
    """A count of bits modulo the width of its type."""
    return b(b), _built(lambda builder, kind, x: builder.and_(x, ir.Constant(x.type, kind.bitwidth - 1)))


@intrinsic
def rotate_left(typing: Any, a: Any, b: Any) -> Any:
    """`a` rotated left by `b` modulo the width."""

    def build(builder: Any, kind: Any, x: Any, count: Any) -> Any:
        mask = ir.Constant(x.type, kind.bitwidth - 1)
        upper = builder.shl(x, builder.and_(count, mask))
        return builder.or_(upper, builder.lshr(x, builder.and_(builder.neg(count), mask)))

    return a(a, b), _built(build)


@intrinsic
def multiply_high(typing: Any, a: Any, b: Any) -> Any:
    """The upper half of the product of twice the width."""

    def build(builder: Any, kind: Any, x: Any, y: Any) -> Any:
        wide = ir.IntType(2 * kind.bitwidth)
        extend = builder.sext if kind.signed else builder.zext
        product = builder.mul(extend(x, wide), extend(y, wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, kind.bitwidth)), x.type)

    return a(a, b), _built(build)


@intrinsic
def fused_multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c` rounded once."""
    return a(a, b, c), _built(lambda builder, _, x, y, z: builder.fma(x, y, z))


def _llvm(name: str) -> _Build:
    """A function of LLVM's on two operands of one type."""

    def build(builder: Any, kind: Any, x: Any, y: Any) -> Any:
        form = ir.FunctionType(x.type, [x.type, y.type])
        return builder.call(builder.module.declare_intrinsic(name, [x.type], form), [x, y])

    return _built(build)


@intrinsic
def minimum(typing: Any, a: Any, b: Any) -> Any:
    """IEEE 754-2019 minimum: NaN where either is NaN, -0 below +0."""
    return a(a, b), _llvm("llvm.minimum")


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """IEEE 754-2019 maximum: NaN where either is NaN, +0 above -0."""
    return a(a, b), _llvm("llvm.maximum")


def _safe_divisor(builder: Any, kind: Any, x: Any, y: Any) -> Any:
    """1 where `y` is 0, or -1 under the least: the quotient is then the dividend, and nothing remains."""
    is_odd = builder.icmp_unsigned("==", y, ir.Constant(y.type, 0))
    if kind.signed:
        is_least = builder.icmp_unsigned("==", x, ir.Constant(x.type, -(1 << (kind.bitwidth - 1))))
        is_odd = builder.or_(is_odd, builder.and_(is_least, builder.icmp_unsigned("==", y, ir.Constant(y.type, -1))))
    return builder.select(is_odd, ir.Constant(y.type, 1), y)


@intrinsic
def divide(typing: Any, a: Any, b: Any) -> Any:
    """`a / b` truncated towards zero; the dividend where `b` is 0, and for the least by -1."""

    def build(builder: Any, kind: Any, x: Any, y: Any) -> Any:
        return (builder.sdiv if kind.signed else builder.udiv)(x, _safe_divisor(builder, kind, x, y))

    return a(a, b), _built(build)


@intrinsic
def remainder(typing: Any, a: Any, b: Any) -> Any:
    """What `divide` leaves, with the sign of `a`; 0 where `b` is 0."""

    def build(builder: Any, kind: Any, x: Any, y: Any) -> Any:
        return (builder.srem if kind.signed else builder.urem)(x, _safe_divisor(builder, kind, x, y))

    return a(a, b), _built(build)


@intrinsic
def convert(typing: Any, a: Any, r: Any) -> Any:
    """The value as a NumPy type `r`: integers wrap, a float to an integer truncates and saturates, NaN gives 0."""
    target = r.instance_type
    is_saturated = isinstance(a, types.Float) and isinstance(target, types.Integer)

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        found = context.cast(builder, operands[0], a, target)
        if not is_saturated:
            return found
        kind = Type(f"{'i' if target.signed else 'u'}{target.bitwidth}")
        wide = context.cast(builder, operands[0], a, types.float64)
        low, high = (ir.Constant(wide.type, value) for value in (float(kind.least) - 1, float(kind.greatest + 1)))
        zero, least, greatest = (ir.Constant(found.type, value) for value in (0, kind.least, kind.greatest))
        # What the processor makes of a float that does not fit is not looked at.
        found = builder.select(builder.fcmp_ordered(">", wide, low), found, least)
        found = builder.select(builder.fcmp_ordered(">=", wide, high), greatest, found)
        return builder.select(builder.fcmp_unordered("uno", wide, wide), zero, found)

    return target(a, r), build


@intrinsic
def bitcast(typing: Any, a: Any, r: Any) -> Any:
    """The same bits as a NumPy type `r` of the same width."""
    target = r.instance_type

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return builder.bitcast(operands[0], context.get_value_type(target))

    return target(a, r), build


@intrinsic
def is_outside(typing: Any, place: Any, size: Any, width: Any) -> Any:
    """Whether `width` elements from a place on do not all lie in a memory of `size`."""

    def build(builder: Any, kind: Any, at: Any, length: Any, count: Any) -> Any:
        is_after = builder.icmp_signed(">", at, builder.sub(length, count))
        return builder.or_(builder.icmp_signed("<", at, ir.Constant(at.type, 0)), is_after)

    return types.boolean(types.int64, types.int64, types.int64), _built(build)


@intrinsic
def load(typing: Any, memory: Any, place: Any, r: Any) -> Any:
    """A value of NumPy type `r` at an element that is there; from bytes at any alignment."""
    target = r.instance_type

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        pointer = _pointer(context, builder, memory, operands[0], operands[1], target)
        return context.unpack_value(builder, target, pointer, align=1)

    return target(memory, types.int64, r), build


@intrinsic
def store(typing: Any, memory: Any, place: Any, value: Any) -> Any:
    """Write a value to an element that is there; to bytes at any alignment."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        pointer = _pointer(context, builder, memory, operands[0], operands[1], value)
        context.pack_value(builder, value, operands[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(memory, types.int64, value), build


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, target: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), context.get_data_type(target).as_pointer())


@intrinsic
def call_host(typing: Any, address: Any, site: Any, lane: Any, slots: Any) -> Any:
    """Call ``int64_t (*)(int64_t site, int64_t lane, uint64_t *slots)`` at an address; gives its result."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        where, number, who, array = operands
        data = context.make_array(slots)(context, builder, array).data
        word = ir.IntType(64)
        function = builder.inttoptr(where, ir.FunctionType(word, [word, word, data.type]).as_pointer())
        return builder.call(function, [number, who, data])

    return types.int64(types.int64, types.int64, types.int64, slots), build


@intrinsic
def note_trap(typing: Any, trap: Any, lane: Any, site: Any, value: Any) -> Any:
    """Note the end of a lane in four `int64`: how many ended, the lowest lane, its site and value."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        data = context.make_array(trap)(context, builder, operands[0]).data
        word = ir.IntType(64)
        places = [builder.gep(data, [ir.Constant(word, place)]) for place in range(4)]
        count, lowest = builder.load(places[0]), builder.load(places[1])
        is_first = builder.icmp_unsigned("==", count, ir.Constant(word, 0))
        with builder.if_then(builder.or_(is_first, builder.icmp_signed("<", operands[1], lowest))):
            for place, operand in zip(places[1:], operands[1:], strict=True):
                builder.store(operand, place)
        builder.store(builder.add(count, ir.Constant(word, 1)), places[0])
        return context.get_dummy_value()

    words = [types.int64] * 3
    return types.void(trap, *words), build
