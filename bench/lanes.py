"""The software GPU against NumPy and against the same kernels as scalar C."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np

from pixel_cpu.backends.lane_c import LaneKernel, compile_kernel
from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Bounds, Kernel, Memory, Module, Region, Space, Value
from pixel_cpu.ir.text import read
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

from .figures import Figure, paired_medians, seconds

KERNELS = Path(__file__).parent / "kernels"
MATMUL_SIZE = 1024
TILE_ROWS, TILE_DEPTH, TILE_COLUMNS, ROWS_A_LANE, PASSES = 64, 64, 64, 4, 16
"""A group multiplies 64 rows by 64 columns, 64 deep at a time; a lane has a column, and 4 rows in each of 16 passes."""


def measure(rounds: int) -> list[Figure]:
    """Bandwidth, gains of lanes over scalar C, matrix multiplication, and what a launch and a compilation cost."""
    return [
        _saxpy(rounds),
        _gain(
            "hash",
            "integer hash loop",
            6,
            rounds,
            Launch(1 << 16, 32, {"n": 1000}, {"y": np.zeros(1 << 16, np.uint32)}),
        ),
        _gain("mandelbrot", "Mandelbrot", 4, rounds, _picture()),
        _gain("sort", "sort of lanes' own arrays", 0.9, rounds, _sorting(), chosen=True),
        _gain("histogram", "histogram in lanes' own bins", 0.9, rounds, _bytes(), chosen=True),
        _matmul(rounds),
        *_costs(rounds),
    ]


def kernel_of(name: str) -> Module:
    """A kernel of the folder ``kernels``."""
    return verify(read((KERNELS / f"{name}.ir").read_text()))


def _saxpy(rounds: int) -> Figure:
    count = 1 << 24
    random = np.random.default_rng(1)
    x, y = random.random(count, np.float32), random.random(count, np.float32)
    kernel = compile_kernel(kernel_of("saxpy"), "saxpy")
    launch = check(kernel.kernel, Launch(count, 32, {"a": 0.5}, {"x": x, "y": y}))
    ours, theirs, ratio = paired_medians(
        lambda: seconds(lambda: kernel.run(launch)), lambda: seconds(lambda: np.add(x, y, out=y)), rounds
    )
    detail = f"{kernel.backend}: {12 * count / ours / 1e9:.1f} GB/s, NumPy's x + y {12 * count / theirs / 1e9:.1f} GB/s"
    return Figure("saxpy / NumPy's bandwidth", 1 / ratio, "x", ">= 0.9", detail)


def _picture() -> Launch:
    width, height = 1024, 768
    scalars = {"width": width, "limit": 256, "scale": 2.5 / height}
    return Launch(width * height, 32, scalars, {"out": np.zeros(width * height, np.uint32)})


def _sorting() -> Launch:
    lanes, length = 4096, 64
    values = np.random.default_rng(2).integers(0, 1 << 30, lanes * length).astype(np.uint32)
    return Launch(lanes, 32, {"n": length}, {"y": values})


def _bytes() -> Launch:
    lanes, length = 4096, 512
    data = np.random.default_rng(4).integers(0, 256, lanes * length).astype(np.uint8)
    return Launch(lanes, 32, {"n": length}, {"x": data, "y": np.zeros(lanes, np.uint32)})


def _gain(name: str, what: str, least: float, rounds: int, launch: Launch, *, chosen: bool = False) -> Figure:
    """Lanes against scalar C on the same cores; `chosen`: in the variant that the estimate chooses."""
    module = kernel_of(name)
    lanes = compile_kernel(module, name, scalar=None if chosen else False)
    scalar = compile_kernel(module, name, scalar=True)
    results = [_run_once(kernel, launch) for kernel in (lanes, scalar)]
    assert all((one == other).all() for one, other in zip(*results, strict=True)), name
    _, _, ratio = paired_medians(lambda: _timed(lanes, launch), lambda: _timed(scalar, launch), rounds)
    return Figure(f"{what} / scalar C", 1 / ratio, "x", f">= {least}", lanes.backend)


def _fresh(launch: Launch) -> Launch:
    return Launch(
        launch.lanes, launch.group, launch.scalars, {name: array.copy() for name, array in launch.buffers.items()}
    )


def _timed(kernel: LaneKernel, launch: Launch) -> float:
    own = _fresh(launch)
    return seconds(lambda: kernel.run(own))


def _run_once(kernel: LaneKernel, launch: Launch) -> list[np.ndarray]:
    own = check(kernel.kernel, _fresh(launch))
    assert not kernel.run(own).trap
    return list(own.buffers.values())


def _matmul(rounds: int) -> Figure:
    size = MATMUL_SIZE
    random = np.random.default_rng(3)
    a, b = (random.random((size, size), np.float32) - np.float32(0.5) for _ in range(2))
    c = np.zeros(size * size, np.float32)
    kernel = compile_kernel(matmul(), "matmul")
    launch = Launch(size * size // TILE_ROWS, TILE_COLUMNS, {"n": size}, {"a": a.ravel(), "b": b.ravel(), "c": c})
    assert not kernel.run(check(kernel.kernel, launch)).trap
    wanted = a.astype(np.float64) @ b
    error = float(np.abs(c.reshape(size, size) - wanted).max())
    assert error < 1e-3, error
    ours, theirs, ratio = paired_medians(
        lambda: seconds(lambda: kernel.run(launch)), lambda: seconds(lambda: a @ b), rounds
    )
    work = 2 * size**3 / 1e9
    detail = f"{kernel.backend}: {work / ours:.0f} GFLOP/s, BLAS {work / theirs:.0f}, f32, error {error:.0e}"
    return Figure(f"matmul {size} / NumPy's BLAS", 1 / ratio, "x", ">= 0.4", detail)


def _costs(rounds: int) -> Iterator[Figure]:
    x, y = np.ones(100, np.float32), np.ones(100, np.float32)
    module = kernel_of("saxpy")
    kernel = compile_kernel(module, "saxpy")
    launch = check(kernel.kernel, Launch(100, 32, {"a": 0.5}, {"x": x, "y": y}))
    times = [seconds(lambda: kernel.run(launch)) for _ in range(2000)]
    yield Figure("launch of 100 lanes", 1e6 * statistics.median(times), "us", "<= 30", kernel.backend)
    first, again = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", XDG_CACHE_HOME=folder):
            first.append(seconds(lambda: compile_kernel(module, "saxpy")))
            begun = time.process_time()
            compile_kernel(module, "saxpy")
            again.append(time.process_time() - begun)
    yield Figure("a new small kernel", statistics.median(first), "s", "<= 0.5", "saxpy, compiled by cc -O3")
    yield Figure("the same from the cache", 1e3 * statistics.median(again), "ms", "<= 10", "CPU time")


class _Build(Builder):
    """Arithmetic on `u32`, and loops from 0 in steps."""

    def number(self, value: int) -> Value:
        return self.const(Type.U32, value)

    def sum(self, *values: Value) -> Value:
        total = values[0]
        for value in values[1:]:
            total = self.value("add", total, value)
        return total

    def times(self, one: Value, other: Value) -> Value:
        return self.value("mul", one, other)

    @contextmanager
    def steps(self, limit: Value, step: int, carried: Sequence[Value] = ()) -> Iterator[_Loop]:
        """A loop; the body sets `after` to the values that go round."""
        label = self.new_label()
        start = self.number(0)
        counter, own = Value(Type.U32), [Value(value.type) for value in carried]
        loop = _Loop(counter, own)
        region, on, out = Region([], (counter, *own)), Region(), Region()
        with self.inside(region):
            with self.inside(on):
                self.end("yield")
            with self.inside(out):
                self.end("break", *own, label=label)
            self.branch("if", [self.value("lt", counter, limit)], [on, out])
            yield loop
            self.end("continue", self.sum(counter, self.number(step)), *loop.after, label=label)
        loop.results = self.branch("loop", [start, *carried], [region], [value.type for value in own], label=label)


class _Loop:
    def __init__(self, counter: Value, values: list[Value]) -> None:
        self.counter, self.values = counter, values
        self.after: list[Value] = []
        self.results: tuple[Value, ...] = ()


def matmul() -> Module:
    """C = A B for square matrices of a size that the tile divides; C is zero before."""
    n = Value(Type.U32, "n")
    a, b, c = (Memory(name, Space.BUFFER, Type.F32, None, name == "c") for name in "abc")
    tile = Memory("tile", Space.WORKGROUP, Type.F32, TILE_DEPTH * TILE_COLUMNS)
    body = Region()
    build = _Build(body, Bounds.TRAP)
    columns = build.number(TILE_COLUMNS)
    group, lane = build.value("group_id"), build.value("local_id")
    panels = build.value("div", n, columns)
    column = build.sum(build.times(build.value("rem", group, panels), columns), lane)
    row0 = build.times(build.value("div", group, panels), build.number(TILE_ROWS))
    with build.steps(n, TILE_DEPTH) as depth:
        build.barrier()
        with build.steps(build.number(TILE_DEPTH), 1) as row:
            source = build.sum(build.times(build.sum(depth.counter, row.counter), n), column)
            build.store(tile, build.sum(build.times(row.counter, columns), lane), build.load(b, source))
        build.barrier()
        with build.steps(build.number(TILE_ROWS), ROWS_A_LANE) as rows:
            starts = [
                build.times(build.sum(row0, rows.counter, build.number(offset)), n) for offset in range(ROWS_A_LANE)
            ]
            places = [build.sum(start, column) for start in starts]
            lefts = [build.sum(start, depth.counter) for start in starts]
            sums = [build.load(c, place) for place in places]
            with build.steps(build.number(TILE_DEPTH), 1, sums) as inner:
                right = build.load(tile, build.sum(build.times(inner.counter, columns), lane))
                inner.after = [
                    build.value("fma", build.load(a, build.sum(left, inner.counter)), right, total)
                    for left, total in zip(lefts, inner.values, strict=True)
                ]
            for place, total in zip(places, inner.results, strict=True):
                build.store(c, place, total)
    build.end("return")
    return verify(Module({"matmul": Kernel("matmul", (n,), (a, b, c, tile), body, TILE_COLUMNS)}))
