"""Words that are many operations: reductions of a warp or a block, the matrix product."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ...ir.model import Bounds, Memory, Value
from ...ir.types import Type
from .expressions import Values

WARP = 32
"""Threads of a warp."""


@contextlib.contextmanager
def _trapping(unit: Values) -> Iterator[None]:
    """Accesses of ours are inside whatever the kernel asks for at the edge."""
    bounds, unit.build.bounds = unit.build.bounds, Bounds.TRAP
    try:
        yield
    finally:
        unit.build.bounds = bounds


def _u32(unit: Values, number: int) -> Value:
    return unit.build.const(Type.U32, number)


def _present(unit: Values) -> Value:
    """Threads of the block that exist: the last block may have fewer than the others."""
    build = unit.build
    size = build.value("group_size")
    before = build.value("mul", build.value("group_id"), size)
    return build.value("min", size, build.value("sub", build.value("lane_count"), before))


def block_reduce(unit: Values, memory: Memory, operation: str, value: Value) -> Value:
    """Append a tree over the threads of a block; every thread gets the result.

    Of n values the upper n // 2 are taken into the lower ones, thread l of the lower half takes l + (n + 1) // 2, until one is left:
    the same order whatever runs it, for any number of threads.
    """
    build = unit.build
    with _trapping(unit):
        own, count = build.value("local_id"), _present(unit)
        build.store(memory, own, value)
        build.barrier()

        def halve(values: tuple[Value, ...]) -> list[Value]:
            (left,) = values
            half = build.value("shr", build.value("add", left, _u32(unit, 1)), _u32(unit, 1))
            takes = build.value("lt", own, build.value("sub", left, half))
            build.if_(takes, lambda: _take(unit, memory, operation, own, half))
            build.barrier()
            return [half]

        build.while_([count], lambda values: build.value("gt", values[0], _u32(unit, 1)), halve, local=1)
        result = build.load(memory, _u32(unit, 0))
        # The memory serves the next reduction.
        build.barrier()
    return result


def warp_reduce(unit: Values, memory: Memory, operation: str, value: Value) -> Value:
    """Append a tree over each 32 threads of a block; every thread gets the result of its warp.

    Thread l of a warp takes l + 16, then l + 8, 4, 2, 1, where that thread exists.
    """
    build = unit.build
    with _trapping(unit):
        own, count = build.value("local_id"), _present(unit)
        lane = build.value("and", own, _u32(unit, WARP - 1))
        build.store(memory, own, value)
        build.barrier()

        def halve(values: tuple[Value, ...]) -> list[Value]:
            (half,) = values
            is_lower = build.value("lt", lane, half)
            exists = build.value("lt", build.value("add", own, half), count)
            takes = build.value("and", is_lower, exists)
            build.if_(takes, lambda: _take(unit, memory, operation, own, half))
            build.barrier()
            return [build.value("shr", half, _u32(unit, 1))]

        build.while_(
            [_u32(unit, WARP // 2)], lambda values: build.value("gt", values[0], _u32(unit, 0)), halve, local=1
        )
        result = build.load(memory, build.value("sub", own, lane))
        build.barrier()
    return result


def _take(unit: Values, memory: Memory, operation: str, own: Value, distance: Value) -> tuple[Value, ...]:
    build = unit.build
    other = build.load(memory, build.value("add", own, distance))
    build.store(memory, own, build.value(operation, build.load(memory, own), other))
    return ()


def matmul(unit: Values, left: Memory, right: Memory, target: Memory, sizes: list[Value]) -> None:
    """Append target = left x right, row by row in memory, elements spread over all threads; each sum goes from k = 0 upwards."""
    build = unit.build
    rows, columns, inner = sizes or _square(unit, left, right, target)
    lanes = build.value("lane_count")
    kind = target.element
    count = build.value("bitcast", build.value("mul", rows, columns), type=Type.U32)

    def element(values: tuple[Value, ...]) -> list[Value]:
        place = build.value("convert", values[0], type=Type.I32)
        row = build.value("mul", build.value("div", place, columns), inner)
        column = build.value("rem", place, columns)

        def product(own: tuple[Value, ...]) -> list[Value]:
            k, total = own
            a = build.load(left, build.value("add", row, k))
            b = build.load(right, build.value("add", build.value("mul", k, columns), column))
            return [
                build.value("add", k, build.const(Type.I32, 1)),
                build.value("add", total, build.value("mul", a, b)),
            ]

        starts = [build.const(Type.I32, 0), build.const(kind, 0)]
        (total,) = build.while_(starts, lambda own: build.value("lt", own[0], inner), product, local=1)
        build.store(target, place, total)
        return [build.value("add", values[0], lanes)]

    build.while_([build.value("global_id")], lambda values: build.value("lt", values[0], count), element, local=1)


def _square(unit: Values, *memories: Memory) -> tuple[Value, Value, Value]:
    """The side of square matrices; a trap where they are none, or of different sizes."""
    build = unit.build
    lengths = [build.length(memory) for memory in memories]
    root = build.value("sqrt", build.value("convert", lengths[-1], type=Type.F64))
    side = build.value("convert", build.value("nearest", root), type=Type.U32)
    area = build.value("mul", side, side)
    fits = build.value("eq", lengths[0], area)
    for length in lengths[1:]:
        fits = build.value("and", fits, build.value("eq", length, area))
    unit.require(fits, "PARALLEL_MATMUL without SIZE takes square matrices of one size")
    number = build.value("convert", side, type=Type.I32)
    return number, number, number
