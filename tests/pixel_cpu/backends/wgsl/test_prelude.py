"""Every row of the table over the edge values of every type: WGSL on this machine's adapter against the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.backends.reference import Executor, evaluate
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.backends.wgsl.prelude import functions
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Bounds, Kernel, Memory, Module, Region, Space
from pixel_cpu.ir.operations import OPERATIONS, Operation
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

INF = float("inf")
FLOAT_EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, 0.1, -1 / 3, 127.5, -128.5, 255.0, 256.0, 32768.0),
    *(65535.5, 65536.0, 8388609.0, 16777217.0, 2147483520.0, 2.0**31, -(2.0**31), 2.0**32, 2.0**53 + 2, 2.0**63),
    *(-(2.0**63), 2.0**64, 1.8e19, 1e30, -1e38, 3.4028234663852886e38, 1.1754943508222875e-38, 1e-42, -1e-45),
    *(INF, -INF, float("nan"), -9.3e18, 4294967295.0, 1.0000001, 0.99999994),
]


def edges(kind: Type) -> np.ndarray:
    """Values at which operations on a type go wrong."""
    if kind is Type.BOOL:
        return np.array([False, True])
    if kind.is_float:
        with np.errstate(over="ignore"):
            return np.array(FLOAT_EDGES, kind.dtype)
    found = {0, 1, 2, 3, 7, 100, kind.greatest, kind.greatest - 1, kind.least, kind.least + 1, kind.greatest // 3}
    found |= {-1, -2, -100} if kind.is_signed else {kind.greatest // 2 + 1}
    found |= {1 << shift for shift in (4, 15, 16, 31, 32, 33, 47) if 1 << shift <= kind.greatest}
    found |= {0x7F4A7C159E3779B9 & kind.greatest, 0xFFFF0001 & kind.greatest, kind.bits, kind.bits - 1}
    return np.array(sorted(found), kind.dtype)


def rows(kind: Type) -> Iterator[tuple[Operation, Type]]:
    """Each row that takes values of a type, with each type that it may give, where WGSL has a form."""
    for row in OPERATIONS.values():
        if not row.numpy or kind not in row.over or row.form("wgsl", kind) is None:
            continue
        gives = row.signature.split()[-1]
        for result in Type:
            if gives == "bool" and result is not Type.BOOL:
                continue
            if gives == "T" and result is not kind:
                continue
            if row.name == "bitcast" and (result not in row.over or result.bits != kind.bits):
                continue
            yield row, result


def table_kernel(kind: Type, without: tuple[Type, ...] = ()) -> tuple[Module, dict[Type, list[Operation]]]:
    """One kernel with all rows over a type: lane ``n * row + i`` computes a row on the i-th operands."""
    by_result: dict[Type, list[Operation]] = {}
    for row, result in rows(kind):
        if result not in without:
            by_result.setdefault(result, []).append(row)
    inputs = [Memory(name, Space.BUFFER, kind, is_writable=False) for name in "abc"]
    flags = Memory("flags", Space.BUFFER, Type.BOOL, is_writable=False)
    outputs = {result: Memory(f"out_{result.value}", Space.BUFFER, result) for result in by_result}
    body = Region()
    build = Builder(body, Bounds.CLAMP)
    lane, count = build.value("global_id"), build.length(inputs[0])
    at, number = build.value("rem", lane, count), build.value("div", lane, count)
    flag = build.load(flags, at)
    given = [build.load(memory, at) for memory in inputs]
    for result, found in by_result.items():
        regions = []
        for row in [*found, found[-1]]:
            operands = row.signature.partition("->")[0].split()
            with build.inside(Region()) as region:
                values = [flag, *given[:2]] if row.name == "select" else given[: len(operands)]
                build.end("yield", build.value(row.name, *values, type=result))
            regions.append(region)
        (value,) = build.branch("switch", [number], regions, [result], cases=range(len(found)))
        build.store(outputs[result], lane, value)
    build.end("return")
    kernel = Kernel("table", (), (*inputs, flags, *outputs.values()), body, 64)
    return verify(Module({"table": kernel})), by_result


def operands(kind: Type) -> tuple[np.ndarray, ...]:
    """Each value with each, and a third one."""
    values = edges(kind)
    a, b = (grid.ravel() for grid in np.meshgrid(values, values))
    return a, b, np.roll(b, 7), np.arange(len(a)) % 3 == 0


def differences(row: Operation, want: np.ndarray, got: np.ndarray, given: tuple[np.ndarray, ...]) -> list[str]:
    """What differs by more than the row allows."""
    if want.dtype.kind != "f":
        wrong = want != got
    else:
        both_nan = np.isnan(want) & np.isnan(got)
        with np.errstate(all="ignore"):
            room = row.wgsl_ulp * np.spacing(np.abs(want)) if row.wgsl_ulp else np.zeros_like(want)
            room = np.fmax(np.nan_to_num(room, nan=0.0), row.wgsl_absolute)
            if row.name in ("exp", "exp2", "pow"):  # the bound grows with the operand
                room = np.maximum(room, np.abs(want) * 1e-4)
                room = np.maximum(room, 1.2e-38)  # subnormal results may be flushed
            if row.name in ("sin", "cos", "tan"):  # WGSL bounds them near zero only
                room = np.where(np.abs(given[0]) < 1e4, room, INF)
            close = (want == got) | (np.abs(want.astype(np.float64) - got) <= room)
        signs = (np.signbit(want) == np.signbit(got)) | (want != 0) | bool(row.wgsl_ulp or row.wgsl_absolute)
        wrong = ~both_nan & ~(close & signs)
        if row.wgsl_ulp == INF:
            wrong &= ~(np.isfinite(want) & np.isfinite(got)) & (np.abs(want) < 1e38)
    return [
        f"{row.name}({', '.join(str(values[i]) for values in given)}) = {got[i]!r}, not {want[i]!r}"
        for i in np.flatnonzero(wrong)[:5]
    ]


def run_table(kind: Type, pairs: bool) -> list[str]:
    module, by_result = table_kernel(kind, (Type.F64,) if pairs else ())
    a, b, c, flags = operands(kind)
    program = compile_kernel(module, "table", pairs=pairs)
    outputs = {
        f"out_{result.value}": np.zeros(len(found) * len(a), result.dtype) for result, found in by_result.items()
    }
    lanes = max(map(len, outputs.values()))
    program.run(check(program.kernel, Launch(lanes, 64, {}, {"a": a, "b": b, "c": c, "flags": flags, **outputs})))
    wrong = []
    for result, found in by_result.items():
        for row, got in zip(found, outputs[f"out_{result.value}"].reshape(len(found), -1), strict=True):
            arity = len(row.signature.partition("->")[0].split())
            given = (flags, a, b) if row.name == "select" else (a, b, c)[:arity]
            wrong += differences(row, evaluate(row.name, given, result, kind), got, given)
    return wrong


@pytest.mark.parametrize("kind", list(Type))
def test_every_row_gives_what_the_reference_gives(kind):
    assert not run_table(kind, pairs=False)


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in (Type.I64, Type.U64, Type.F32) else pytest.param(kind, marks=pytest.mark.long)
        for kind in Type
        if kind is not Type.F64
    ],
)
def test_every_row_gives_it_with_64_bit_integers_as_pairs(kind):
    assert not run_table(kind, pairs=True)


def test_only_the_functions_that_are_used_are_written():
    text = functions("let a = gb_pow_f32(b, c);", False)
    assert "fn gb_log2_f32" in text
    assert "fn gb_sin_f32" not in text
    assert functions("let a = 1;", True) == ""


PATTERNS = {
    "a sum minus its first": lambda v, a, b, c: v("sub", v("add", a, b), a),
    "a product plus": lambda v, a, b, c: v("add", v("mul", a, b), c),
    "two products": lambda v, a, b, c: v("add", v("mul", a, b), v("mul", a, c)),
    "a constant in between": lambda v, a, b, c: v("mul", v("mul", a, v("add", c, c)), b),
    "a sum of sums": lambda v, a, b, c: v("add", v("add", a, c), v("add", b, c)),
    "a root squared": lambda v, a, b, c: v("mul", v("sqrt", v("abs", a)), v("sqrt", v("abs", a))),
    "a quotient times its divisor": lambda v, a, b, c: v("mul", v("div", a, b), b),
    "a product of quotients": lambda v, a, b, c: v("mul", v("div", c, a), v("div", c, b)),
    "one minus one minus": lambda v, a, b, c: v("sub", c, v("sub", c, a)),
}
"""What algebra makes simpler, and arithmetic of floats must not."""


@pytest.mark.parametrize("kind", [Type.F32, Type.F64])
def test_no_driver_makes_float_expressions_simpler(kind):
    count = 4000
    random = np.random.default_rng(5)
    values = [random.standard_normal(count).astype(kind.dtype) for _ in range(3)]
    memories = [Memory(name, Space.BUFFER, kind, None, name == "y") for name in "abcy"]
    body = Region()
    build = Builder(body, Bounds.TRAP)
    lane = build.value("global_id")
    a, b, c = (build.load(memory, lane) for memory in memories[:3])
    for place, pattern in enumerate(PATTERNS.values()):
        index = build.value(
            "add", build.value("mul", lane, build.const(Type.U32, len(PATTERNS))), build.const(Type.U32, place)
        )
        build.store(memories[3], index, pattern(build.value, a, b, c))
    build.end("return")
    module = verify(Module({"main": Kernel("main", (), tuple(memories), body)}))
    results = []
    for make in (compile_kernel, Executor):
        buffers = dict(zip("abc", values, strict=True)) | {"y": np.zeros(count * len(PATTERNS), kind.dtype)}
        make(module, "main").run(check(module.kernels["main"], Launch(count, 64, {}, buffers)))
        results.append(buffers["y"].reshape(count, -1))
    for place, name in enumerate(PATTERNS):
        assert np.array_equal(*(result[:, place] for result in results)), name
