"""What is benchmarked: a kernel, a problem of a size, what it must compute, and how much work that is.

>>> task = CASES["saxpy"].make(1 << 20)
>>> task.shape, task.work
('1048576', 2097152)
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from .. import kernels
from ..backends.launch import Array
from ..runtime.program import Kernel, loads
from .work import Unit


@dataclass(frozen=True)
class Step:
    """One launch: `buffers` gives each parameter of the kernel the name of an array of the task."""

    kernel: Kernel
    lanes: int
    threads: int
    buffers: Mapping[str, str]
    scalars: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A problem: launches one after another on `arrays`, what some arrays hold after the first time, and the work.

    Floats are expected in float64, computed from the same inputs.
    """

    shape: str
    steps: tuple[Step, ...]
    arrays: Mapping[str, Array]
    expected: Mapping[str, Array]
    work: int


@dataclass(frozen=True)
class Case:
    """A kernel to benchmark. `make` gives the task of a size: `tiny` for checks, `small`, or `full`.

    `formula` says in words what a task's work is: all of it, or, with `is_counted`, what the reference executor counted for each
    element. `tolerance` is the largest relative error that is right.
    """

    name: str
    dtype: str
    unit: Unit
    make: Callable[[int], Task]
    tiny: int
    small: int
    full: int
    formula: str
    tolerance: float = 0.0
    is_counted: bool = False


@cache
def _kernel(file: str, name: str) -> Kernel:
    return loads(kernels.source(file), file=f"{file}.gpk").kernel(name)


def _step(
    file: str, name: str, lanes: int, buffers: str, threads: int | None = None, /, **scalars: int | float
) -> Step:
    """A launch whose arrays are named as the kernel's parameters, except where `buffers` says ``parameter=array``."""
    kernel = _kernel(file, name)
    pairs = [word.partition("=") for word in buffers.split()]
    names = {parameter: array or parameter for parameter, _, array in pairs}
    return Step(kernel, lanes, threads or kernel.definition.group, names, scalars)


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _floats(seed: int, *shape: int) -> Array:
    """Positive, so that sums lose nothing by cancellation and a relative error means something."""
    return _random(seed).uniform(0.5, 1.5, shape).astype(np.float32)


def _bytes(seed: int, count: int, largest: int = 255) -> Array:
    return _random(seed).integers(0, largest + 1, count).astype(np.uint8)


def _saxpy(n: int) -> Task:
    x, y = _floats(1, n), _floats(2, n)
    wanted = 0.5 * x.astype(np.float64) + y
    return Task(str(n), (_step("saxpy", "saxpy", n, "x y", a=0.5),), {"x": x, "y": y}, {"y": wanted}, 2 * n)


def _sum(n: int) -> Task:
    x, blocks = _floats(3, n), 64
    arrays = {"x": x, "partial": np.zeros(blocks, np.float32), "total": np.zeros(1, np.float32)}
    steps = (
        _step("reduce", "sum", blocks * 256, "x partial"),
        _step("reduce", "sum", blocks, "x=partial partial=total", blocks),
    )
    wanted = np.array([x.sum(dtype=np.float64)])
    return Task(str(n), steps, arrays, {"total": wanted}, n + blocks * 255 + blocks + blocks - 1)


def _scan(n: int) -> Task:
    x, blocks = _random(4).integers(-99, 99, n).astype(np.int32), -(-n // 256)
    sizes = {"out": n, "totals": blocks, "before": blocks, "unused": 1}
    arrays = {"x": x} | {name: np.zeros(size, np.int32) for name, size in sizes.items()}
    steps = (
        _step("scan", "scan_blocks", blocks * 256, "x out totals"),
        _step("scan", "scan_blocks", 256, "x=totals out=before totals=unused"),
        _step("scan", "add_before", blocks * 256, "out totals=before"),
    )
    return Task(str(n), steps, arrays, {"out": np.cumsum(x, dtype=np.int32)}, 27 * n)


def _sort(n: int) -> Task:
    x = _floats(5, n)
    blocks = [2 << k for k in range(n.bit_length() - 1)]
    steps = tuple(
        _step("sort", "bitonic_step", n, "x", block=block, distance=block >> down)
        for block in blocks
        for down in range(1, block.bit_length())
    )
    return Task(str(n), steps, {"x": x}, {"x": np.sort(x).astype(np.float64)}, 3 * n * len(steps) // 2)


def _transpose(n: int) -> Task:
    x = _floats(6, n, n)
    arrays = {"x": x.reshape(-1), "out": np.zeros(n * n, np.float32)}
    step = _step("transpose", "transpose", (n // 16) ** 2 * 256, "x out", rows=n, columns=n)
    return Task(f"{n}x{n}", (step,), arrays, {"out": x.T.reshape(-1).astype(np.float64)}, 24 * n * n)


def _histogram(n: int) -> Task:
    data = _bytes(7, n)
    step = _step("histogram", "histogram", 64 * 256, "bytes counts")
    wanted = np.bincount(data, minlength=256).astype(np.uint32)
    arrays = {"bytes": data, "counts": np.zeros(256, np.uint32)}
    return Task(str(n), (step,), arrays, {"counts": wanted}, n + 4 * 64 * 256)


def _matmul(n: int) -> Task:
    a, b = _floats(8, n, n), _floats(9, n, n)
    arrays = {"a": a.reshape(-1), "b": b.reshape(-1), "c": np.zeros(n * n, np.float32)}
    wanted = (a.astype(np.float64) @ b.astype(np.float64)).reshape(-1)
    tile = 64
    step = _step("matmul", "matmul", (n // tile) ** 2 * tile, "a b c", m=n, n=n, k=n)
    return Task(f"{n}x{n}x{n}", (step,), arrays, {"c": wanted}, 2 * n**3 + n**3 // tile)


def _conv2d(n: int) -> Task:
    side = 3
    picture, weights = _floats(10, n, n), _floats(11, side, side)
    padded = np.pad(picture.astype(np.float64), side // 2)
    taps = [(j, i) for j in range(side) for i in range(side)]
    wanted = sum(padded[j : j + n, i : i + n] * weights[j, i] for j, i in taps)
    arrays = {"picture": picture.reshape(-1), "filter": weights.reshape(-1), "out": np.zeros(n * n, np.float32)}
    step = _step("conv2d", "conv2d", n * n, "picture filter out", width=n, side=side)
    return Task(f"{n}x{n}, 3x3", (step,), arrays, {"out": np.asarray(wanted).reshape(-1)}, 2 * (side * n - 2) ** 2)


def _nbody(n: int) -> Task:
    now, speed, dt = _floats(12, n, 4), _floats(13, n, 4), 2.0**-14
    places, masses = now[:, :3].astype(np.float64), now[:, 3].astype(np.float64)
    faster = speed.astype(np.float64)
    for first in range(0, n, 256):  # some bodies at a time, as there are n * n pairs
        between = places[None] - places[first : first + 256, None]
        square = (between**2).sum(-1) + float(np.float32(0.0001))
        faster[first : first + 256, :3] += (between * (masses / square**1.5)[..., None]).sum(1) * dt
    wanted = np.concatenate([places + faster[:, :3] * dt, masses[:, None]], axis=1)
    arrays = {"now": now.reshape(-1), "speed": speed.reshape(-1), "next": np.zeros(4 * n, np.float32)}
    step = _step("nbody", "nbody_step", n, "now next speed", dt=dt)
    expected = {"next": wanted.reshape(-1), "speed": faster.reshape(-1)}
    return Task(f"{n} bodies", (step,), arrays, expected, 18 * n * n + 12 * n)


def _mandelbrot(width: int) -> Task:
    height, most, step = width * 3 // 4, 128, 2.5 / width
    # In float32, as the kernel: near the set's edge another rounding is another count.
    real = np.float32(-1.75) + np.arange(width, dtype=np.float32) * np.float32(step)
    imaginary = np.float32(-0.9375) + np.arange(height, dtype=np.float32) * np.float32(step)
    cx, cy = np.meshgrid(real, imaginary)
    x, y, counts = np.zeros_like(cx), np.zeros_like(cx), np.zeros(cx.shape, np.int32)
    for _ in range(most):
        with np.errstate(over="ignore", invalid="ignore"):
            near = x * x + y * y <= 4
            x, y = np.where(near, x * x - y * y + cx, x), np.where(near, 2 * x * y + cy, y)
        counts += near
    launch = _step(
        "mandelbrot", "mandelbrot", width * height, "counts", width=width, left=-1.75, top=-0.9375, step=step, most=most
    )
    arrays = {"counts": np.zeros(width * height, np.int32)}
    work = 10 * int(counts.sum()) + 7 * counts.size
    return Task(f"{width}x{height}, {most} steps", (launch,), arrays, {"counts": counts.reshape(-1)}, work)


def _crc32(records: int) -> Task:
    size = 512
    data = _bytes(14, records * size)
    wanted = [zlib.crc32(data[size * k : size * (k + 1)].tobytes()) for k in range(records)]
    arrays = {"bytes": data, "out": np.zeros(records, np.uint32)}
    step = _step("crc32", "crc32", records, "bytes out", size=size)
    return Task(f"{records}x{size}", (step,), arrays, {"out": np.array(wanted, np.uint32)}, 3752 * records)


def _root_bits(number: int, degree: int) -> int:
    """The first 32 bits behind the point of a root, in integers."""
    scaled, low, high = number << 32 * degree, 0, (number + 1) << 32
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= scaled else (low, middle)
    return low & 0xFFFFFFFF


def _sha256(lanes: int) -> Task:
    primes = [number for number in range(2, 312) if all(number % other for other in range(2, number))]
    message = _bytes(15, 56)
    hashes = [hashlib.sha256(message.tobytes() + struct.pack("<Q", k)).digest() for k in range(lanes)]
    arrays = {
        "message": message,
        "k": np.array([_root_bits(prime, 3) for prime in primes], np.uint32),
        "start": np.array([_root_bits(prime, 2) for prime in primes[:8]], np.uint32),
        "found": np.full(1, 0xFFFFFFFF, np.uint32),
        "digest": np.zeros(lanes, np.uint32),
    }
    step = _step("sha256", "sha256_search", lanes, "message k start found digest", first=0, zeros=32)
    wanted = np.array([int.from_bytes(each[:4], "big") for each in hashes], np.uint32)
    return Task(f"{lanes} hashes", (step,), arrays, {"digest": wanted}, 5391 * lanes)


def _pages(kernel: str, result: str, each: int) -> Callable[[int], Task]:
    def make(pages: int) -> Task:
        data = _bytes(16, pages * 4096, 199)
        data[: pages // 4 * 4096] = 0
        counts = np.array([np.bincount(page, minlength=256) for page in data.reshape(pages, 4096)])
        parts = counts / 4096
        wanted: dict[str, Array] = {
            "entropy": -(parts * np.log2(np.where(parts > 0, parts, 1))).sum(1),
            "is_zero": (counts[:, 0] == 4096).astype(np.uint8),
            "counts": counts.astype(np.uint32).reshape(-1),
        }
        kinds = {"entropy": np.float32, "is_zero": np.uint8, "counts": np.uint32}
        arrays = {"bytes": data, result: np.zeros(len(wanted[result]), kinds[result])}
        group = _kernel("pages", kernel).definition.group
        step = _step("pages", kernel, pages * group, f"bytes {result}")
        return Task(f"{pages}x4096", (step,), arrays, {result: wanted[result]}, each * pages)

    return make


def _search(n: int) -> Task:
    data, pattern = _bytes(17, n, 15), np.array([1, 2, 3, 4], np.uint8)
    data[n // 2 : n // 2 + 4] = pattern
    hits = np.ones(n - 3, bool)
    for place, byte in enumerate(pattern):
        hits &= data[place : n - 3 + place] == byte
    arrays = {"bytes": data, "pattern": pattern, "count": np.zeros(1, np.uint32), "places": np.zeros(64, np.uint32)}
    step = _step("search", "find_pattern", n, "bytes pattern count places")
    return Task(str(n), (step,), arrays, {"count": np.array([hits.sum()], np.uint32)}, 6 * n)


_FLOPS = (
    Case("saxpy", "f32", Unit.FLOP, _saxpy, 1000, 1 << 22, 1 << 25, "2 n", 1e-6),
    Case("sum", "f32", Unit.FLOP, _sum, 20_000, 1 << 22, 1 << 25, "n, and 257 a block", 1e-5),
    Case("matmul", "f32", Unit.FLOP, _matmul, 64, 256, 1024, "2 n^3, and n^3 / 64 sums of tiles", 1e-4),
    Case("conv2d", "f32", Unit.FLOP, _conv2d, 32, 1024, 4096, "2 (3 n - 2)^2", 1e-5),
    Case("nbody_step", "f32", Unit.FLOP, _nbody, 40, 1024, 8192, "18 n^2 + 12 n", 1e-4),
    Case("mandelbrot", "f32", Unit.FLOP, _mandelbrot, 32, 512, 2048, "10 a step, 7 a point"),
)
_OPS = tuple(
    Case(name, dtype, Unit.OP, make, tiny, small, full, formula, tolerance, is_counted=True)
    for name, dtype, make, tiny, small, full, formula, tolerance in (
        ("transpose", "f32", _transpose, 32, 2048, 8192, "24 an element", 0.0),
        ("bitonic_step", "f32", _sort, 256, 1 << 14, 1 << 20, "1.5 an element and launch", 0.0),
        ("scan", "i32", _scan, 1 << 12, 1 << 16, 1 << 16, "27 an element", 0.0),
        ("histogram", "u8", _histogram, 1 << 14, 1 << 24, 1 << 27, "1 a byte, 4 a thread", 0.0),
        ("crc32", "u8", _crc32, 64, 1 << 14, 1 << 17, "3752 a record", 0.0),
        ("sha256_search", "u32", _sha256, 64, 1 << 14, 1 << 18, "5391 a hash", 0.0),
        ("page_entropy", "u8", _pages("page_entropy", "entropy", 19_711), 4, 1 << 11, 1 << 14, "19711 a page", 1e-4),
        ("page_is_zero", "u8", _pages("page_is_zero", "is_zero", 4030), 4, 1 << 11, 1 << 14, "4030 a page", 0.0),
        ("page_histogram", "u8", _pages("page_histogram", "counts", 13_056), 4, 1 << 11, 1 << 14, "13056 a page", 0.0),
        ("find_pattern", "u8", _search, 1 << 13, 1 << 23, 1 << 26, "6 a byte", 0.0),
    )
)
CASES = {case.name: case for case in (*_FLOPS, *_OPS)}
"""By name; named after the kernel, or after what several launches compute together."""
