"""Every operation of the table on values over edge values of every type, in lanes and as scalar C."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from programs import edges

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.lane_c.forms import literal, wrapped
from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.backends.reference import evaluate
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Kernel, Memory, Module, Region, Space
from pixel_cpu.ir.operations import OPERATIONS
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

MOST = 3000
"""Combinations of operands that one operation is tried on."""


def rows(kind: Type) -> dict[tuple[Type, ...], list[tuple[str, Type]]]:
    """Names and result types of the operations over a type, by the types of their operands."""
    found: dict[tuple[Type, ...], list[tuple[str, Type]]] = {}
    for row in OPERATIONS.values():
        if row.effect != "value" or not row.c or kind not in row.over:
            continue
        words = row.signature.partition("->")[0].split()
        result = row.signature.split()[-1]
        if result == "U":
            results = [other for other in row.over if row.name == "convert" or other.bits == kind.bits]
        else:
            results = [kind if result == "T" else Type.BOOL]
        kinds = tuple(Type.BOOL if word == "bool" else kind for word in words)
        found.setdefault(kinds, []).extend((row.name, other) for other in results)
    return found


def ulps_apart(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many floats lie between; of two NaN none."""
    least = -(1 << (found.itemsize * 8 - 1))
    ordered = [
        np.array(
            [value if value >= 0 else least - value for value in array.view(f"i{array.itemsize}").tolist()], object
        )
        for array in (found, wanted)
    ]
    apart = np.abs(ordered[0] - ordered[1]).astype(float)
    apart[(found == wanted) & (np.signbit(found) != np.signbit(wanted))] = np.inf  # +0 is not -0
    apart[np.isnan(found) != np.isnan(wanted)] = np.inf
    apart[np.isnan(found) & np.isnan(wanted)] = 0
    return apart


def check_kind(kind: Type, *, scalar: bool, level: str) -> None:
    for kinds, names in rows(kind).items():
        places = list(itertools.product(*(range(len(edges(own))) for own in kinds)))
        places = places[:: max(1, -(-len(places) // MOST))]
        inputs = [
            np.array(edges(own), own.dtype)[[place[column] for place in places]] for column, own in enumerate(kinds)
        ]
        sources = [Memory(f"in{column}", Space.BUFFER, own, None, False) for column, own in enumerate(kinds)]
        targets = [Memory(f"out{row}", Space.BUFFER, result) for row, (_, result) in enumerate(names)]
        body = Region()
        build = Builder(body)
        lane = build.value("global_id")
        values = [build.load(memory, lane) for memory in sources]
        for memory, (name, result) in zip(targets, names, strict=True):
            build.store(memory, lane, build.value(name, *values, type=result))
        build.end("return")
        module = verify(Module({"main": Kernel("main", (), (*sources, *targets), body)}))
        outputs = {f"out{row}": np.zeros(len(places), result.dtype) for row, (_, result) in enumerate(names)}
        launch = Launch(len(places), 100, {}, {f"in{i}": array for i, array in enumerate(inputs)} | outputs)
        compile_kernel(module, "main", scalar=scalar, level=level).run(check(module.kernels["main"], launch))
        for row, (name, result) in enumerate(names):
            wanted, found = evaluate(name, inputs, result, kind), outputs[f"out{row}"]
            wrong = (
                ulps_apart(found, wanted) > OPERATIONS[name].c_ulp if result.is_float else np.asarray(found != wanted)
            )
            at = int(np.argmax(wrong))
            assert not wrong.any(), (
                f"{name} {kind!r} -> {result!r} of {[array[at] for array in inputs]} is {found[at]!r}, not {wanted[at]!r}"
            )


@pytest.mark.parametrize("kind", [Type.BOOL, Type.I8, Type.U16, Type.U32, Type.I32, Type.I64], ids=repr)
def test_operations_in_lanes(kind):
    check_kind(kind, scalar=False, level="-O1")


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O1", "-O3"])
@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize("kind", Type, ids=repr)
def test_all_operations(kind, scalar, level):
    check_kind(kind, scalar=scalar, level=level)


def test_literals_keep_every_bit():
    assert literal(-(2**63), Type.I64) == "(-9223372036854775807ll - 1)"
    assert literal(-0.0, Type.F32) == "gb_bits_f32(0x80000000u)"
    assert literal(True, Type.BOOL) == "1"


def test_narrow_types_are_wrapped():
    assert wrapped("x", Type.U8) == "((x) & 255)" and wrapped("x", Type.F32) == "x"
