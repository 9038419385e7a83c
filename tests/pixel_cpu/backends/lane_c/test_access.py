"""Loads, stores and atomics at every kind of index, inside and outside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from lane_kernels import module, same_as_reference
from programs import compare

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.launch import Launch
from pixel_cpu.ir.types import Type

SHAPES = {
    "uniform": "%j = convert %u : INDEX",
    "linear": "%w = convert %u : u32\n  %j = add %i, %w : u32",
    "varying": "%v = load @o %i trap : INDEX\n  %w = convert %u : INDEX\n  %j = add %v, %w : INDEX",
}
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


@pytest.mark.parametrize("kind", [Type.BOOL, Type.I8, Type.U16, Type.F32, Type.U64], ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_index_and_bound(kind, shape):
    random = np.random.default_rng(3)
    most = 2 if kind is Type.BOOL else 100
    for bounds, index, space in (
        ("trap", "i32", "buffer"),
        ("clamp", "i64", "buffer"),
        ("trap", "u32", "private"),
        ("clamp", "i32", "private"),
    ):
        text = program(shape, bounds, kind, index, space)
        kernel = compile_kernel(module(text), "main", scalar=False, level="-O1")
        for start, lanes in itertools.product((0, 40, -5, 2**33), (1, 50, 64)):
            # Each lane has an index of its own, so that no two write one element; but the last one at a uniform index.
            buffers = {"o": random.permutation(64).astype(Type(index).dtype)}
            for name, length in (("got", 64), ("z", 64), ("out", 60), ("x", 60)):
                buffers[name] = random.integers(0, most, length).astype(kind.dtype)
            if space != "buffer":
                del buffers["x"]
                if shape == "uniform":
                    buffers["z"][:] = buffers["z"][0]
            compare(lambda *_, kernel=kernel: kernel, module(text), Launch(lanes, 32, {"u": start}, buffers))


def test_an_empty_memory():
    text = program("varying", "clamp", Type.U32, "i32", "buffer")
    buffers = {"o": np.arange(32, dtype=np.int32), "x": np.zeros(0, np.uint32), "out": np.zeros(0, np.uint32)}
    buffers |= {"got": np.ones(32, np.uint32), "z": np.ones(32, np.uint32)}
    outcome = compile_kernel(module(text), "main", scalar=False, level="-O1").run(Launch(32, 32, {"u": 0}, buffers))
    assert not outcome.trap and not buffers["got"].any()


@pytest.mark.parametrize("kind", ["i16", "u32", "f64"])
def test_bytes_are_read_as_wider_types_at_any_alignment(kind):
    text = f"""
kernel main(%u: u32) group 32 {{
  buffer @x: u8
  buffer @y: {kind}
  private @p: u8[32]
  %i = global_id : u32
  %three = const 3 : u32
  %s = mul %i, %three : u32
  %j = add %s, %u : u32
  %a = load @x %j trap : {kind}
  store @p %u, %a trap
  %b = load @p %u clamp : {kind}
  store @y %i, %b trap
  return
}}
"""
    random = np.random.default_rng(5)
    kernel = compile_kernel(module(text), "main", scalar=False, level="-O1")
    for start in (0, 1, 23, 25, 31):
        x = np.frombuffer(random.bytes(200), np.uint8).copy()
        launch = Launch(64, 32, {"u": start}, {"x": x, "y": np.zeros(64, Type(kind).dtype)})
        compare(lambda *_: kernel, module(text), launch)


def test_bytes_are_written_as_wider_types():
    text = """
kernel main(%v: f64) group 32 {
  buffer @x: u8
  %i = global_id : u32
  %nine = const 9 : u32
  %j = mul %i, %nine : u32
  store @x %j, %v clamp
  return
}
"""
    same_as_reference(text, Launch(64, 32, {"v": 0.1}, {"x": np.zeros(200, np.uint8)}))


@pytest.mark.parametrize("space", ["buffer", "workgroup"])
@pytest.mark.parametrize("kind", ["i32", "u64"])
def test_atomics(space, kind):
    size = "" if space == "buffer" else "[5]"
    declared = "\n".join(f"  {space} @{name}s: {kind}{size}" for name in ATOMICS)
    used = "\n".join(f"  %{name} = atomic_{name} @{name}s %j, %v trap : {kind}" for name in ATOMICS)
    text = f"""
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
"""
    dtype = Type(kind).dtype
    buffers = {"o": (np.arange(90) * 7 % 6).astype(np.uint32), "y": np.arange(80).astype(dtype)[::-1].copy()}
    if space == "buffer":
        buffers |= {f"{name}s": np.full(5, 3, dtype) for name in ATOMICS}
    for scalar in (False, True):
        outcome = same_as_reference(text, Launch(90, 32, {}, buffers), scalar=scalar)
        assert "index 5 outside adds[5]" in outcome.trap.reason


def test_arrays_at_odd_addresses():
    odd = np.zeros(4 * 33 + 1, np.uint8)[1:].view(np.uint32)
    assert not odd.flags.aligned
    text = """
kernel main() group 32 {
  buffer @y: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %old = atomic_add @y %zero, %i trap : u32
  return
}
"""
    compile_kernel(module(text), "main", level="-O1").run(Launch(33, 32, {}, {"y": odd}))
    assert odd[0] == 33 * 16
