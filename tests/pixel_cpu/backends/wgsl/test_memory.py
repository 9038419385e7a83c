"""Memory on a GPU: narrow elements that share words, unaligned bytes, every space, atomics."""

from __future__ import annotations

import numpy as np
import pytest
from programs import compare

from pixel_cpu.backends.launch import Launch, Outcome, check
from pixel_cpu.backends.reference import Executor
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Bounds, Kernel, Memory, Module, Region, Space
from pixel_cpu.ir.text import read
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

MOVED = [kind for kind in Type if kind is not Type.BOOL]


def run_both(module: Module, launch: Launch, **options: object) -> Outcome:
    """Run reference and WGSL, which must agree; gives the latter's outcome."""
    return compare(lambda each, name: compile_kernel(each, name, **options), verify(module), launch, "main")


def copies(space: Space | None, length: int = 40) -> Module:
    """A kernel in which each lane copies an element of each type to its neighbour's place, by way of `space` where one is given."""
    body = Region()
    build = Builder(body, Bounds.TRAP)
    memories = []
    lane, local = build.value("global_id"), build.value("local_id")
    for kind in Type:
        source = Memory(f"from_{kind.value}", Space.BUFFER, kind, is_writable=False)
        target = Memory(f"to_{kind.value}", Space.BUFFER, kind)
        memories += [source, target]
        value = build.load(source, lane)
        if space:
            between = Memory(f"over_{kind.value}", space, kind, length)
            memories.append(between)
            build.store(between, local, value)
            value = build.load(between, local)
            memory_zero = build.load(between, build.value("xor", local, build.const(Type.U32, 32)))
            if kind is not Type.BOOL:
                value = build.value("add", value, memory_zero)
        build.store(target, build.value("xor", lane, build.const(Type.U32, 1)), value)
    build.end("return")
    return Module({"main": Kernel("main", (), tuple(memories), body, 8)})


def random_array(kind: Type, count: int) -> np.ndarray:
    random = np.random.default_rng(5)
    if kind is Type.BOOL:
        return random.integers(0, 2, count).astype(np.bool_)
    if kind.is_float:
        return random.normal(size=count).astype(kind.dtype)
    return random.integers(kind.least, kind.greatest, count, dtype=kind.dtype, endpoint=True)


LONG = pytest.mark.long  # software drivers compile for many seconds


@pytest.mark.parametrize(
    "space", [None, pytest.param(Space.WORKGROUP, marks=LONG), pytest.param(Space.PRIVATE, marks=LONG)]
)
def test_neighbouring_elements_of_each_type_are_written_at_once(space):
    buffers = {f"from_{kind.value}": random_array(kind, 64) for kind in Type}
    buffers |= {f"to_{kind.value}": np.zeros(64, kind.dtype) for kind in Type}
    run_both(copies(space), Launch(64, 8, {}, buffers))


def byte_kernel(load_space: Space) -> Module:
    """Each lane reads every type from bytes at its own offset, and writes it to bytes of its own, unaligned."""
    body = Region()
    build = Builder(body, Bounds.TRAP)
    source = Memory("source", Space.BUFFER, Type.U8, is_writable=False)
    target = Memory("target", Space.BUFFER, Type.U8)
    between = Memory("between", load_space, Type.U8, 64)
    lane = build.value("global_id")
    own = build.value("mul", lane, build.const(Type.U32, 61))
    place = 0
    for kind in MOVED:
        value = build.load(source, build.value("add", lane, build.const(Type.U32, place)), kind)
        if load_space is Space.PRIVATE:
            at = build.value("rem", build.value("add", lane, build.const(Type.U32, place)), build.const(Type.U32, 50))
            build.store(between, at, value)
            value = build.load(between, at, kind)
        build.store(target, build.value("add", own, build.const(Type.U32, place)), value)
        place += kind.bytes + 1
    build.end("return")
    memories = (source, target) + ((between,) if load_space is Space.PRIVATE else ())
    return Module({"main": Kernel("main", (), memories, body, 8)})


@pytest.mark.parametrize("space", [Space.BUFFER, pytest.param(Space.PRIVATE, marks=LONG)])
@pytest.mark.parametrize("pairs", [False, pytest.param(True, marks=LONG)])
def test_bytes_are_read_and_written_as_wider_types_at_any_alignment(space, pairs):
    module = byte_kernel(space)
    if pairs:
        kernel = module.kernels["main"]
        kernel.body.operations = [
            op for op in kernel.body.operations if Type.F64 not in [value.type for value in (*op.results, *op.operands)]
        ]
    buffers = {"source": random_array(Type.U8, 80), "target": np.zeros(61 * 17, np.uint8)}
    run_both(module, Launch(17, 8, {}, buffers), pairs=pairs)


ATOMICS = """
kernel main() group 16 {{
  buffer @sums: {t}
  workgroup @own: {t}[4]
  buffer @out: {t}
  %lane = global_id : u32
  %local = local_id : u32
  %value = convert %lane : {t}
  %three = const 3 : u32
  %four = const 4 : u32
  %at = rem %lane, %four : u32
  %0 = atomic_add @own %at, %value trap : {t}
  %1 = const 0 : u32
  %2 = atomic_add @sums %1, %value trap : {t}
  %3 = const 1 : u32
  %4 = atomic_min @sums %3, %value trap : {t}
  %5 = const 2 : u32
  %6 = atomic_max @sums %5, %value trap : {t}
  %7 = atomic_and @sums %three, %value trap : {t}
  %8 = atomic_or @sums %four, %value trap : {t}
  %9 = const 5 : u32
  %10 = atomic_xor @sums %9, %value trap : {t}
  %11 = const 100 : u32
  %12 = atomic_add @sums %11, %value clamp : {t}
  barrier
  %13 = load @own %at trap : {t}
  store @out %lane, %13 trap
  return
}}
"""


@pytest.mark.parametrize(("kind", "pairs"), [("u32", False), ("i32", True), ("u64", False), ("i64", False)])
def test_atomics_of_each_type(kind, pairs):
    start = np.array([5, -7 if kind[0] == "i" else 7, -9 if kind[0] == "i" else 9, -1 if kind[0] == "i" else 255, 0, 3])
    dtype = Type(kind).dtype
    buffers = {"sums": start.astype(dtype), "out": np.zeros(100, dtype)}
    run_both(read(ATOMICS.format(t=kind)), Launch(100, 16, {}, buffers), pairs=pairs)


def test_an_exchange_and_a_compare_and_exchange_give_the_old_value():
    module = read("""
kernel main() group 1 {
  buffer @a: i32
  buffer @out: i32
  %0 = const 0 : u32
  %1 = const 1 : u32
  %2 = const 2 : u32
  %five = const -5 : i32
  %six = const 6 : i32
  %3 = atomic_cas @a %0, %five, %six trap : i32
  %4 = atomic_cas @a %1, %five, %six trap : i32
  %5 = atomic_exchange @a %2, %six trap : i32
  store @out %0, %3 trap
  store @out %1, %4 trap
  store @out %2, %5 trap
  return
}
""")
    run_both(module, Launch(1, 1, {}, {"a": np.array([-5, 5, 7], np.int32), "out": np.zeros(3, np.int32)}))


def test_without_64_bit_atomics_the_kernel_is_refused():
    with pytest.raises(DeviceError, match="64-bit atomics on @sums"):
        compile_kernel(verify(read(ATOMICS.format(t="u64"))), "main", pairs=True)


def test_clamped_accesses_of_empty_and_short_memory():
    module = read("""
kernel main(%i: i64) group 4 {
  buffer @none: u32
  buffer @bytes: u8
  buffer @out: u64
  %0 = global_id : u32
  %1 = load @none %i clamp : u32
  store @none %i, %1 clamp
  %2 = load @bytes %i clamp : u64
  %3 = convert %1 : u64
  %4 = add %2, %3 : u64
  store @out %0, %4 clamp
  return
}
""")
    program, reference = compile_kernel(verify(module), "main"), Executor(module, "main")
    for index in (-(1 << 63), -1, 0, 3, 1 << 32, (1 << 63) - 1):
        for size in (0, 7, 8, 20):
            answers = []
            for executable in (program, reference):
                out = np.full(3, 9, np.uint64)
                bytes_ = np.arange(1, size + 1, dtype=np.uint8)
                buffers = {"none": np.zeros(0, np.uint32), "bytes": bytes_, "out": out}
                executable.run(check(program.kernel, Launch(5, 4, {"i": index}, buffers)))
                answers.append(out.tolist())
            assert answers[0] == answers[1]
