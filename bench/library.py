"""The kernels of `pixel_cpu.kernels` on the software GPU, each against scalar C and against lavapipe, on the same cores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from pixel_cpu import Device, kernels, loads
from pixel_cpu.backends import lane_c, wgsl
from pixel_cpu.backends.launch import Executable, Launch, check
from pixel_cpu.backends.wgsl.device import Device as Adapter
from pixel_cpu.errors import DeviceError
from pixel_cpu.kernels import product
from pixel_cpu.passes.bounds import prove_bounds
from pixel_cpu.runtime import Kernel

from .figures import Figure, paired_medians

LAVAPIPE = "llvmpipe"
"""What its adapter is called."""
MATMUL_SIZE = 512

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True)
class Case:
    """A launch of a library kernel: of `lanes`, in groups of its own size."""

    name: str
    kernel: Kernel
    lanes: int
    scalars: Mapping[str, int | float]
    buffers: Arrays
    other: tuple[Kernel, int] | None = None
    """The kernel and lanes that lavapipe runs, where another is better there."""


def measure(rounds: int) -> list[Figure]:
    """What the variant that the estimate chooses gains over scalar C, and over lavapipe where there is one."""
    found = [_against_scalar(case, rounds) for case in (*cases(), *cases_of_ram())]
    with mock.patch.dict(os.environ, GLASSBOX_ADAPTER=LAVAPIPE), contextlib.suppress(DeviceError):
        adapter = Adapter()
        found += [_against(adapter, case, rounds) for case in cases()]
    return found


def _against_scalar(case: Case, rounds: int) -> Figure:
    chosen, scalar = _compiled(lane_c, case.kernel), _compiled(lane_c, case.kernel, scalar=True)
    definition = case.kernel.definition
    buffers = [{name: array.copy() for name, array in case.buffers.items()} for _ in range(2)]
    ours, theirs = (check(definition, Launch(case.lanes, definition.group, case.scalars, own)) for own in buffers)
    _, _, ratio = paired_medians(lambda: chosen.run(ours).seconds, lambda: scalar.run(theirs).seconds, rounds)
    return Figure(f"{case.name} / scalar C", 1 / ratio, "x", ">= 0.9", f"{chosen.backend}, {case.lanes} lanes")


def _against(adapter: Adapter, case: Case, rounds: int) -> Figure:
    kernel, lanes = case.other or (case.kernel, case.lanes)
    ours = _compiled(lane_c, case.kernel)
    theirs = _compiled(wgsl, kernel, device=adapter)
    group, other_group = case.kernel.definition.group, kernel.definition.group
    buffers = {name: array.copy() for name, array in case.buffers.items()}
    resident = {name: wgsl.DeviceBuffer.from_array(adapter, array) for name, array in case.buffers.items()}
    here = check(case.kernel.definition, Launch(case.lanes, group, case.scalars, buffers))
    there = check(kernel.definition, Launch(lanes, other_group, case.scalars, resident))  # type: ignore[arg-type]
    for executable, launch in ((ours, here), (theirs, there)):
        executable.run(launch).raise_trap(case.name)
    for name, array in buffers.items():
        found = resident[name].download()
        same = np.allclose(array, found, rtol=1e-3, atol=1e-3) if array.dtype.kind == "f" else (array == found).all()
        assert same or name == "places", f"{case.name}: {name} differs"
    _, took, ratio = paired_medians(lambda: ours.run(here).seconds, lambda: theirs.run(there).seconds, rounds)
    detail = f"{ours.backend}, {case.lanes} lanes; lavapipe {1e3 * took:.1f} ms"
    return Figure(f"{case.name} / lavapipe", 1 / ratio, "x", ">= 1", detail)


def _compiled(backend: Any, kernel: Kernel, **options: Any) -> Executable:  # noqa: ANN401  # a module of a back end
    module, _ = prove_bounds(kernel.module, kernel.name, group=kernel.definition.group)
    found: Executable = backend.compile_kernel(module, kernel.name, **options)
    return found


def cases() -> Iterator[Case]:
    """Every kernel of the library, on a problem that takes some milliseconds."""
    random = np.random.default_rng(1)
    floats = random.random(1 << 21, np.float32) - np.float32(0.5)
    small = random.random(1 << 18, np.float32)
    data = random.integers(0, 256, 1 << 22).astype(np.uint8)
    yield _case("saxpy", "saxpy", len(floats), a=0.5, x=floats, y=floats[::-1].copy())
    yield _case("reduce", "sum", 1 << 14, x=floats, partial=_zeros(64))
    yield _case("reduce", "range", 1 << 14, x=floats, least=_zeros(64), greatest=_zeros(64))
    numbers = random.integers(-99, 99, 1 << 20).astype(np.int32)
    out, totals = _zeros(1 << 20, np.int32), _zeros(1 << 12, np.int32)
    yield _case("scan", "scan_blocks", 1 << 20, x=numbers, out=out, totals=totals)
    yield _case("scan", "add_before", 1 << 20, out=out, totals=totals)
    yield _case("histogram", "histogram", 1 << 14, bytes=data, counts=_zeros(256, np.uint32))
    yield _case("sort", "bitonic_step", len(floats), x=floats, block=1 << 21, distance=1 << 10)
    yield _matmul(random)
    yield _case(
        "conv2d", "conv2d", 1 << 16, picture=small, filter=small[:25].copy(), out=_zeros(1 << 18), width=512, side=5
    )
    yield _case("transpose", "transpose", 1 << 21, x=floats, out=_zeros(1 << 21), rows=2048, columns=1024)
    bodies = random.random(4 * 2048, np.float32)
    yield _case("nbody", "nbody_step", 2048, now=bodies, next=_zeros(4 * 2048), speed=_zeros(4 * 2048), dt=0.01)
    view = {"width": 512, "left": -2.0, "top": -1.25, "step": 2.5 / 512, "most": 256}
    yield _case("mandelbrot", "mandelbrot", 1 << 18, counts=_zeros(1 << 18, np.int32), **view)
    counts = random.integers(0, 257, 1 << 20).astype(np.int32)
    yield _case("mandelbrot", "paint", 1 << 20, counts=counts, picture=_zeros(1 << 20, np.uint32), most=256)
    words = random.integers(0, 1 << 32, 64, np.uint32)
    given = {"message": data[:56].copy(), "k": words, "start": words[:8].copy(), "first": 0, "zeros": 20}
    digest, found = _zeros(1 << 16, np.uint32), np.full(1, 0xFFFFFFFF, np.uint32)
    yield _case("sha256", "sha256_search", 1 << 16, **given, found=found, digest=digest)
    yield _case("crc32", "crc32", 1 << 12, bytes=data, size=1024, out=_zeros(1 << 12, np.uint32))
    count, places = _zeros(1, np.uint32), _zeros(64, np.uint32)
    yield _case(
        "search", "find_pattern", 1 << 16, bytes=data, pattern=data[5000:5008].copy(), count=count, places=places
    )
    pages = len(data) // 4096
    yield _case("pages", "page_entropy", pages * 256, bytes=data, entropy=_zeros(pages))
    yield _case("pages", "page_is_zero", pages * 64, bytes=data, is_zero=_zeros(pages, np.uint8))
    yield _case("pages", "page_histogram", pages * 256, bytes=data, counts=_zeros(pages * 256, np.uint32))
    nodes, walks = 1 << 16, 1 << 16
    linked = {
        "next": random.integers(-1, nodes, 4 * nodes).astype(np.int32),
        "value": random.integers(-99, 99, nodes).astype(np.int32),
        "start": random.integers(0, nodes, walks).astype(np.int32),
        "ways": random.integers(0, 1 << 32, walks, np.uint32),
        "total": _zeros(walks, np.int32),
        "last": _zeros(walks, np.int32),
    }
    yield _case("linked", "walk", walks, **linked, most=64)


def cases_of_ram() -> Iterator[Case]:
    """The kernels that viewer and `find` run on a guest's RAM, which are written for a CPU."""
    data = np.random.default_rng(1).integers(0, 256, 1 << 22).astype(np.uint8)
    words = data.view(np.uint64)
    pages = np.arange(len(data) // 4096, dtype=np.uint32)
    counts = np.arange(4097)
    terms = (counts * np.log2(np.maximum(counts, 1))).astype(np.float32)
    given = {"words": words, "pages": pages}
    yield _case("ram", "entropy_of_pages", len(pages), **given, terms=terms, entropy=_zeros(len(pages)))
    yield _case("ram", "count_bytes_of_pages", len(pages), **given, counts=_zeros(256, np.uint32))
    yield _case("ram", "zero_pages", len(pages), words=np.zeros_like(words), is_zero=_zeros(len(pages), np.uint8))
    count, places = _zeros(1, np.uint32), _zeros(64, np.uint32)
    pattern = {"pattern": data[5000:5008].copy(), "anchor": 0, "count": count, "places": places}
    yield _case("ram", "find_in_words", len(words), words=words, bytes=data, **pattern)


def _zeros(count: int, kind: type = np.float32) -> np.ndarray[Any, np.dtype[Any]]:
    return np.zeros(count, kind)


def _case(file: str, name: str, lanes: int, **given: Any) -> Case:  # noqa: ANN401  # by the kernel's own names
    kernel = loads(kernels.source(file)).kernel(name)
    scalars = {name: value for name, value in given.items() if name in kernel.definition.scalars}
    buffers = {name: value for name, value in given.items() if name not in scalars}
    return Case(name, kernel, lanes, scalars, buffers)


def _matmul(random: np.random.Generator) -> Case:
    """Each in the tile that the tuner chooses for it."""
    size = MATMUL_SIZE
    with Device("cpu") as cpu, Device("wgpu") as gpu:
        own, other = (product.chosen(device, size, size, size) for device in (cpu, gpu))
    buffers = {name: random.random(size * size, np.float32) for name in "ab"} | {"c": _zeros(size * size)}
    scalars = dict.fromkeys("mnk", size)
    (kernel, lanes), there = ((product.kernel(tile), product.lanes(tile, size, size)) for tile in (own, other))
    return Case("matmul", kernel, lanes, scalars, buffers, there)
