"""Every operation of the table over its edge values on a back end: values of each type, indexes inside and outside of memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from programs import Make, compare, edges

from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.backends.reference import evaluate
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Kernel, Memory, Module, Region, Space
from pixel_cpu.ir.operations import OPERATIONS, Operation
from pixel_cpu.ir.text import read
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

MOST = 3000
"""Combinations of operands that one operation is tried on."""
CONSTANTS = 12
"""Combinations of constants that one operation is tried on."""


def rows(kind: Type) -> dict[tuple[Type, ...], list[tuple[str, Type]]]:
    """Names and result types of the operations over a type, by the types of their operands."""
    found: dict[tuple[Type, ...], list[tuple[str, Type]]] = {}
    for row in OPERATIONS.values():
        if row.effect != "value" or not row.numpy or kind not in row.over:
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


def check_kind(make: Make, kind: Type, bound: Callable[[Operation], float] = lambda row: row.c_ulp) -> None:
    """Assert that the operations over a type give the reference's values; floats within `bound` units in the last place."""
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
        make(module, "main").run(check(module.kernels["main"], launch))
        for row, (name, result) in enumerate(names):
            wanted, found = evaluate(name, inputs, result, kind), outputs[f"out{row}"]
            apart = ulps_apart(found, wanted) if result.is_float else np.asarray(found != wanted)
            wrong = apart > (bound(OPERATIONS[name]) if result.is_float else 0)
            at = int(np.argmax(wrong))
            assert not wrong.any(), (
                f"{name} {kind!r} -> {result!r} of {[array[at] for array in inputs]} is {found[at]!r}, not {wanted[at]!r}"
            )


def check_constants(
    make: Make, kind: Type, bound: Callable[[Operation], float] = lambda row: row.c_ulp, names: Sequence[str] = ()
) -> None:
    """Assert that the operations over constants of a type, which compilers work out themselves, give the reference's values.

    All operations, or those of `names`, over `CONSTANTS` combinations of edge values. Where the bound is not 0, a result below the
    smallest normal number may be 0.
    """
    for kinds, found in rows(kind).items():
        for name, result in found:
            if names and name not in names:
                continue
            own = Random(name)
            combinations = [[own.choice(edges(each)) for each in kinds] for _ in range(CONSTANTS)]
            inputs = [
                np.array(column, each.dtype)
                for column, each in zip(zip(*combinations, strict=True), kinds, strict=True)
            ]
            wanted = evaluate(name, inputs, result, kind)
            output = Memory("out", Space.BUFFER, result)
            body = Region()
            build = Builder(body)
            for place, operands in enumerate(combinations):
                values = [build.const(each, operand) for each, operand in zip(kinds, operands, strict=True)]
                build.store(output, build.const(Type.U32, place), build.value(name, *values, type=result))
            build.end("return")
            module = verify(Module({"main": Kernel("main", (), (output,), body, 1)}))
            # What is not written does not look like a result.
            got = np.where(wanted == 77, 78, 77).astype(result.dtype)
            if result is Type.BOOL:
                got = ~wanted
            make(module, "main").run(check(module.kernels["main"], Launch(1, 1, {}, {"out": got})))
            apart = ulps_apart(got, wanted) if result.is_float else np.asarray(got != wanted)
            most = bound(OPERATIONS[name]) if result.is_float else 0
            wrong = apart > most
            if most:
                wrong &= (got != 0) | (np.abs(wanted) >= np.finfo(result.dtype).smallest_normal)
            at = int(np.argmax(wrong))
            assert not wrong.any(), (
                f"{name} {kind!r} -> {result!r} of constants {combinations[at]} is {got[at]!r}, not {wanted[at]!r}"
            )


# Memory

SHAPES = {
    "uniform": "%j = convert %u : INDEX",
    "linear": "%w = convert %u : u32\n  %j = add %i, %w : u32",
    "varying": "%v = load @o %i trap : INDEX\n  %w = convert %u : INDEX\n  %j = add %v, %w : INDEX",
}
"""How the index of an access follows the lane."""
ATOMICS = ("add", "min", "max", "and", "or", "xor")


def program(shape: str, bounds: str, kind: Type, index: str, space: str) -> str:
    """Every lane reads, and writes to another object at the same index; to one of its own it writes first."""
    size = "" if space == "buffer" else "[64]"
    own = "" if space == "buffer" else f"store @x %j, %own {bounds}"
    return f"""
kernel main(%u: i64) group 32 {{
  buffer @o: {index} read
  {space} @x: {kind.value}{size}
  buffer @got: {kind.value}
  buffer @z: {kind.value}
  buffer @out: {kind.value}
  %i = global_id : u32
  %own = load @z %i trap : {kind.value}
  {SHAPES[shape].replace("INDEX", index)}
  {own}
  %r = load @x %j {bounds} : {kind.value}
  store @got %i, %r trap
  store @out %j, %r {bounds}
  return
}}
"""


def check_indexes(make: Make, kind: Type, shape: str) -> None:
    """Assert that accesses at indexes inside and outside are the reference's, for each bound."""
    random = np.random.default_rng(3)
    most = 2 if kind is Type.BOOL else 100
    for bounds, index, space in (
        ("trap", "i32", "buffer"),
        ("clamp", "i64", "buffer"),
        ("clamp", "u64", "buffer"),
        ("trap", "u32", "private"),
        ("clamp", "i32", "private"),
    ):
        module = verify(read(program(shape, bounds, kind, index, space)))
        kernel = make(module, "main")
        for start, lanes in itertools.product((0, 40, -5, 2**33), (1, 50, 64)):
            # Each lane has an index of its own, so that no two write one element; but the last one at a uniform index.
            buffers = {"o": random.permutation(64).astype(Type(index).dtype)}
            for name, length in (("got", 64), ("z", 64), ("out", 60), ("x", 60)):
                buffers[name] = random.integers(0, most, length).astype(kind.dtype)
            if space != "buffer":
                del buffers["x"]
                if shape == "uniform":
                    buffers["z"][:] = buffers["z"][0]
            compare(lambda *_, kernel=kernel: kernel, module, Launch(lanes, 32, {"u": start}, buffers))


def check_empty(make: Make) -> None:
    """Assert that a clamped load from an empty memory gives 0."""
    module = verify(read(program("varying", "clamp", Type.U32, "i32", "buffer")))
    buffers = {"o": np.arange(32, dtype=np.int32), "x": np.zeros(0, np.uint32), "out": np.zeros(0, np.uint32)}
    buffers |= {"got": np.ones(32, np.uint32), "z": np.ones(32, np.uint32)}
    outcome = make(module, "main").run(Launch(32, 32, {"u": 0}, buffers))
    assert not outcome.trap and not buffers["got"].any()


def check_wide(make: Make, kind: str) -> None:
    """Assert that bytes are read and written as a wider type at any alignment, as the reference does it."""
    module = verify(
        read(f"""
kernel main(%u: u32) group 32 {{
  buffer @x: u8
  buffer @y: {kind}
  buffer @z: u8
  private @p: u8[32]
  %i = global_id : u32
  %three = const 3 : u32
  %s = mul %i, %three : u32
  %j = add %s, %u : u32
  %a = load @x %j trap : {kind}
  store @p %u, %a trap
  %b = load @p %u clamp : {kind}
  store @y %i, %b trap
  %nine = const 9 : u32
  %k = mul %i, %nine : u32
  store @z %k, %b clamp
  return
}}
""")
    )
    random = np.random.default_rng(5)
    kernel = make(module, "main")
    for start in (0, 1, 23, 25, 31):
        x = np.frombuffer(random.bytes(200), np.uint8).copy()
        if kind[0] == "f":  # a NaN's bits are not promised
            x = np.resize(np.arange(100, 103).astype(np.uint8), 200)
        buffers = {"x": x, "y": np.zeros(64, Type(kind).dtype), "z": np.zeros(300, np.uint8)}
        compare(lambda *_: kernel, module, Launch(64, 32, {"u": start}, buffers))


def check_atomics(make: Make, space: str, kind: str) -> None:
    """Assert that atomics on one object by many lanes, and on slots of each lane, are the reference's."""
    size = "" if space == "buffer" else "[5]"
    declared = "\n".join(f"  {space} @{name}s: {kind}{size}" for name in ATOMICS)
    used = "\n".join(f"  %{name} = atomic_{name} @{name}s %j, %v trap : {kind}" for name in ATOMICS)
    module = verify(
        read(f"""
kernel main() group 32 {{
  buffer @o: u32 read
{declared}
  buffer @y: {kind}
  %i = global_id : u32
  %j = load @o %i trap : u32
  %v = convert %i : {kind}
{used}
  %zero = const 0 : u32
  %old = atomic_exchange @y %i, %v clamp : {kind}
  %was = atomic_cas @y %i, %v, %old trap : {kind}
  return
}}
""")
    )
    dtype = Type(kind).dtype
    buffers = {"o": (np.arange(90) * 7 % 6).astype(np.uint32), "y": np.arange(80).astype(dtype)[::-1].copy()}
    if space == "buffer":
        buffers |= {f"{name}s": np.full(5, 3, dtype) for name in ATOMICS}
    outcome = compare(make, module, Launch(90, 32, {}, buffers))
    assert outcome.trap and "index 5 outside adds[5]" in outcome.trap.reason
