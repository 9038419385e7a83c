"""Every numeric instruction over edge operands: the bits and the traps of wasmtime, on the reference and in machine code."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from wasm_runs import Here, compare_calls, instances_of_wasmtime, program_of
from wasm_texts import assemble

from pixel_cpu.frontends.wasm.numeric import NUMERIC
from pixel_cpu.frontends.wasm.opcodes import BY_NAME

_FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, math.inf, -math.inf, math.nan]
_FLOATS += [
    2.0**31,
    -(2.0**31),
    2.0**32,
    2.0**63,
    -(2.0**63),
    2.0**64,
    -0.9999999,
    4294967295.0,
    -2147483649.0,
    2147483647.0,
]
EDGES = {
    "i32": np.array([0, 1, -1, 2, 7, 31, 32, 33, -(2**31), 2**31 - 1, 0x12345678, -128, 0xFF80, 2**24 + 1], np.int32),
    "i64": np.array(
        [0, 1, -1, 5, 63, 64, 65, -(2**63), 2**63 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 0x7FFFFF4000000001, -129],
        np.int64,
    ),
    "f32": np.array([*_FLOATS, 1e-45, 3.4028235e38, 1.1754944e-38, 8388607.5, 16777217.0], np.float32),
    "f64": np.array(
        [*_FLOATS, 5e-324, 1.7976931348623157e308, 2.0**52 + 0.5, 1e-310, 1.0 + 2.0**-24, 3.4028235677973366e38],
        np.float64,
    ),
}
"""Operands of each type."""
_PAIRED = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, math.inf, -math.inf, math.nan]
PAIRED = {
    "i32": EDGES["i32"][:11],
    "i64": EDGES["i64"][:11],
    "f32": np.array([*_PAIRED, 1e-45, 3.4028235e38, 1.1754944e-38], np.float32),
    "f64": np.array([*_PAIRED, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308], np.float64),
}
"""Those of instructions with two."""

GROUPS = defaultdict(list)
for _name in NUMERIC:
    GROUPS[BY_NAME[_name].operands, BY_NAME[_name].results].append(_name)


def module_of(operands, results, names) -> bytes:
    """One function that runs the instruction of a number on its operands."""
    words = " ".join(each.value for each in operands)
    gets = " ".join(f"(local.get {place + 1})" for place in range(len(operands)))
    code = "".join("(block " for _ in names) + f"(br_table {' '.join(map(str, range(len(names))))} (local.get 0))"
    for name in names:
        code += f") (return ({name} {gets}))"
    return assemble(
        f'(module (func (export "run") (param i32 {words}) (result {results[0].value}) {code} unreachable))'
    )


@pytest.mark.parametrize("back_end", ["reference", "cpu"])
def test_every_numeric_instruction_is_wasmtime_s(back_end):
    device = Here()
    programs = {key: program_of(module_of(*key, names)) for key, names in GROUPS.items()}
    if back_end == "cpu":
        device.compile([each.kernel(0) for each in programs.values()])
    seen = set()
    for (operands, results), names in GROUPS.items():
        program = programs[operands, results]
        data = module_of(operands, results, names)
        edges = EDGES if len(operands) == 1 else PAIRED
        pairs = list(itertools.product(*(edges[each.value] for each in operands)))
        rows = [(number, *pair) for number in range(len(names)) for pair in pairs]
        kinds = [np.int32, *(EDGES[each.value].dtype for each in operands)]
        arguments = [np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
        # One instance of wasmtime for all, as these functions keep nothing.
        theirs = instances_of_wasmtime(data, 1) * len(rows)
        why = compare_calls(program.instances(len(rows), device=device), theirs, "run", arguments)
        for wanted in set(why) - {""}:
            lanes = [lane for lane, each in enumerate(why) if each == wanted]
            own = [each[lanes] for each in arguments]
            compare_calls(program.instances(len(lanes), device=device), theirs[: len(lanes)], "run", own)
        seen |= set(why)
    assert seen == {"", "integer divide by zero", "integer overflow", "invalid conversion to integer"}


def test_every_instruction_on_numbers_alone_is_there():
    assert len(NUMERIC) == 136


SIGNALLING = {
    "f32": np.array([0x7FA00000, 0xFFA00000, 0x7F800001, 0x3F800000], np.uint32).view(np.float32),
    "f64": np.array([0x7FF4 << 48, 0xFFF4 << 48, (0x7FF0 << 48) + 1, 0x3FF0 << 48], np.uint64).view(np.float64),
}
"""NaN that signal, and a number."""
QUIET = {"f32": (np.uint32, 1 << 22), "f64": (np.uint64, 1 << 51)}
"""Unsigned integers of a float's width, and the bit that a quiet NaN has set."""
ARITHMETIC = [
    (f"{kind}.{name}", kind, "(local.get 0) (local.get 1)"[: None if name in ("add", "min", "max", "div") else 13])
    for kind in SIGNALLING
    for name in ("add", "min", "max", "div", "sqrt", "ceil", "floor", "trunc", "nearest")
] + [
    (f"{kind}.{name}", kind, operands.replace("T", kind))
    for kind in SIGNALLING
    for name, operands in (
        ("mul", "(local.get 0) (T.const 1)"),
        ("mul", "(T.const -1) (local.get 0)"),
        ("div", "(local.get 0) (T.const 1)"),
        ("div", "(local.get 0) (T.const -1)"),
        ("sub", "(local.get 0) (T.const 0)"),
        ("sub", "(T.const -0) (local.get 0)"),
        ("add", "(local.get 0) (T.const -0)"),
    )
]


@pytest.mark.parametrize("back_end", ["reference", "cpu"])
def test_arithmetic_gives_quiet_nans(back_end):
    """Also where a compiler would leave it out, as of a product with 1."""
    bodies = "".join(
        f'(func (export "{number}") (param {kind} {kind}) (result {kind}) ({name} {operands}))'
        for number, (name, kind, operands) in enumerate(ARITHMETIC)
    )
    program = program_of(assemble(f"(module {bodies})"))
    device = Here()
    if back_end == "cpu":
        device.compile([program.kernel(number) for number in range(len(ARITHMETIC))])
    signals = []
    for number, (name, kind, operands) in enumerate(ARITHMETIC):
        first, second = (each.ravel() for each in np.meshgrid(SIGNALLING[kind], SIGNALLING[kind]))
        found = program.instances(len(first), device=device).call(str(number), first, second)
        unsigned, quiet = QUIET[kind]
        if (np.isnan(found) & (found.view(unsigned) & unsigned(quiet) == 0)).any():
            signals.append(f"{name} {operands}")
    assert not signals
