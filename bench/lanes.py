"""The software GPU against NumPy and against the same kernels as scalar C."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from pixel_cpu import Device, Kernel, kernels
from pixel_cpu.backends.lane_c import LaneKernel, compile_kernel
from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.kernels.product import chosen

from .figures import Figure, paired_medians, seconds

KERNELS = Path(__file__).parent / "kernels"
MATMUL_SIZE = 1024


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
    with Device("cpu", isolated=False) as device:
        error = float(np.abs(kernels.matmul(a, b, device=device) - a.astype(np.float64) @ b).max())
        assert error < 1e-3, error
        ours, theirs, ratio = paired_medians(
            lambda: seconds(lambda: kernels.matmul(a, b, device=device)), lambda: seconds(lambda: a @ b), rounds
        )
        tile = chosen(device, size, size, size)
    work = 2 * size**3 / 1e9
    detail = f"{tile.name}: {work / ours:.0f} GFLOP/s, BLAS {work / theirs:.0f}, f32, error {error:.0e}"
    return Figure(f"matmul {size} / NumPy's BLAS", 1 / ratio, "x", ">= 0.4", detail)


def _costs(rounds: int) -> Iterator[Figure]:
    module = kernel_of("saxpy")
    for words, isolated, target in (("in this process", False, "<= 30"), ("in a worker", True, "")):
        with Device("cpu", isolated=isolated) as device:
            x, y = (device.array(np.ones(100, np.float32)) for _ in range(2))
            launch = partial(Kernel(module, "saxpy").launch, 100, device=device, a=0.5, x=x, y=y)
            backend = launch().backend
            times = [seconds(launch) for _ in range(2000)]
        yield Figure(f"launch of 100 lanes {words}", 1e6 * statistics.median(times), "us", target, backend)
    first, again = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", XDG_CACHE_HOME=folder):
            first.append(seconds(lambda: compile_kernel(module, "saxpy")))
            begun = time.process_time()
            compile_kernel(module, "saxpy")
            again.append(time.process_time() - begun)
    yield Figure("a new small kernel", statistics.median(first), "s", "<= 0.5", "saxpy, compiled by cc -O3")
    yield Figure("the same from the cache", 1e3 * statistics.median(again), "ms", "<= 10", "CPU time")
