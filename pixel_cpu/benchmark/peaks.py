"""The roofs of a device, measured by kernels of the same IR through the same back end: arithmetic, and memory by footprint.

What a roof does not say: what the hardware could do for another compiler.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..backends.launch import Array
from ..runtime.program import Kernel, loads
from .cases import Step
from .stand import LEAST_SECONDS, Stand, repeats_of
from .work import Unit

_CHAINS, _LINKS = 10, 6
"""Independent chains of a lane, which hide the latency of each other's links, and links of each in one way round the loop."""
_PEAK_LANES = 1 << 18
_MAX_WAYS = 1 << 24
_READS = 4
LEAST_FOOTPRINT = 1 << 20
MEMORY_FOOTPRINT = 128 << 20
"""Bytes of arrays that no cache holds, unless the processor's last level says otherwise."""
MAX_FOOTPRINT = 512 << 20

_UPDATE = """
kernel update() group 64 {
  buffer @x: u32 read
  buffer @out: u32
  %i = global_id : u32
  %v = load @x %i proved : u32
  %w = load @out %i proved : u32
  %r = or %v, %w : u32
  store @out %i, %r proved
  return
}
"""
"""Changes in place: what is written is in a cache already, as it was read, so that no memory moves that is not counted."""


@dataclass(frozen=True)
class Probe:
    """A kernel that reaches for a roof. `work` is what a launch does: operations, or bytes."""

    name: str
    step: Step
    arrays: dict[str, Array]
    work: int


class Roof:
    """One roof of a device: `measure` runs every probe, and the one whose median rate is highest is the roof."""

    def __init__(self, stand: Stand, probes: Iterable[Probe]) -> None:
        self._series = [_Series(stand, probe) for probe in probes]

    def measure(self) -> None:
        """Measure once more."""
        for series in self._series:
            series.measure()

    @property
    def _best(self) -> _Series:
        return max(self._series, key=lambda series: statistics.median(series.rates))

    @property
    def name(self) -> str:
        """The probe that reached highest."""
        return self._best.name

    @property
    def rates(self) -> list[float]:
        """What it reached, work a second, in the order of measuring."""
        return self._best.rates


class _Series:
    """A probe on a device, and what it reached."""

    def __init__(self, stand: Stand, probe: Probe) -> None:
        self.name, self._work, self._step, self._stand = probe.name, probe.work, probe.step, stand
        self._placed = {name: stand.place(array) for name, array in probe.arrays.items()}
        self._repeats = repeats_of(self._run)
        self.rates: list[float] = []

    def _run(self) -> float:
        return self._stand.run((self._step,), self._placed)

    def measure(self) -> None:
        self.rates.append(self._work * self._repeats / sum(self._run() for _ in range(self._repeats)))


def compute_roof(stand: Stand, unit: Unit) -> Roof:
    """The roof of arithmetic: of `f32` a multiplication and an addition for each link, of `u32` an addition and an ``xor``."""
    recipes = (("fma",), ("mul", "add")) if unit is Unit.FLOP else (("add", "xor"),)
    return Roof(stand, (_peak_probe(stand, unit, recipe) for recipe in recipes))


def bandwidth_roof(stand: Stand, footprint: int) -> Roof:
    """The roof of memory for arrays of `footprint` bytes together, each of which is read, written or changed once."""
    return Roof(stand, (make(footprint) for make in (_update_probe, _read_probe)))


def memory_footprint(stand: Stand) -> int:
    """Bytes whose bandwidth is that of memory: four times the last cache, as far as the device binds them."""
    wanted = min(max(MEMORY_FOOTPRINT, 4 * last_cache_bytes()), MAX_FOOTPRINT)
    return min(wanted, stand.limits.get("bytes_of_a_buffer", wanted))


def footprint_class(size: int, most: int) -> int:
    """The power of two next to `size`, between `LEAST_FOOTPRINT` and `most`: roofs are measured for these."""
    nearest = 1 << round(math.log2(max(size, 1)))
    return min(max(nearest, LEAST_FOOTPRINT), most)


@cache
def last_cache_bytes() -> int:
    """Size of the largest cache of the first processor; 0 where the kernel does not say."""
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        with contextlib.suppress(OSError, ValueError):
            text = path.read_text().strip()
            sizes.append(int(text.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(text[-1], 0))
    return max(sizes)


def _peak_probe(stand: Stand, unit: Unit, recipe: tuple[str, ...]) -> Probe:
    kernel = _peak_kernel(unit, recipe)
    scalars = {"a": 0.5, "b": 1.0} if unit is Unit.FLOP else {"a": 0x9E3779B9, "b": 0x85EBCA6B}
    out = {"out": np.zeros(_PEAK_LANES, np.float32 if unit is Unit.FLOP else np.uint32)}
    placed = {name: stand.place(array) for name, array in out.items()}

    def step(ways: int) -> Step:
        return Step(kernel, _PEAK_LANES, 64, {"out": "out"}, {**scalars, "n": ways})

    ways = 1
    stand.run((step(ways),), placed)  # compiles
    while ways < _MAX_WAYS and stand.run((step(ways),), placed) < LEAST_SECONDS:
        ways *= 2
    return Probe(" and ".join(recipe), step(ways), out, 2 * _CHAINS * _LINKS * ways * _PEAK_LANES)


@cache
def _peak_kernel(unit: Unit, recipe: tuple[str, ...]) -> Kernel:
    """Chains that go on in a loop `n` times; the sum of their ends is stored, so that none may be left out."""
    kind = "f32" if unit is Unit.FLOP else "u32"
    lines = [
        "  %i = global_id : u32",
        f"  %v = convert %i : {kind}",
        "  %zero = const 0 : u32",
        "  %one = const 1 : u32",
    ]
    for chain in range(_CHAINS):
        literal = f"0x{chain + 1:x}p+0" if unit is Unit.FLOP else str(chain + 1)
        lines += [f"  %c{chain} = const {literal} : {kind}", f"  %s{chain} = add %v, %c{chain} : {kind}"]
    starts = ", ".join(f"%p{chain}: {kind} = %s{chain}" for chain in range(_CHAINS))
    results = ", ".join([kind] * _CHAINS)
    ends = ", ".join(f"%r{chain}" for chain in range(_CHAINS))
    leave = ", ".join(f"%p{chain}" for chain in range(_CHAINS))
    lines += [f"  {ends} = loop ^L (%k: u32 = %zero, {starts}) : {results} {{", "    %more = lt %k, %n : bool"]
    lines += [f"    if %more {{ yield }} else {{ break ^L {leave} }}"]
    at = [f"%p{chain}" for chain in range(_CHAINS)]
    for link in range(_LINKS):
        for chain in range(_CHAINS):
            for name in recipe:
                new = f"%{name}{link}_{chain}"
                more = "%a, %b" if name == "fma" else "%a" if name == recipe[0] else "%b"
                lines.append(f"    {new} = {name} {at[chain]}, {more} : {kind}")
                at[chain] = new
    lines += ["    %next = add %k, %one : u32", f"    continue ^L %next, {', '.join(at)}", "  }"]
    total = "%r0"
    for chain in range(1, _CHAINS):
        lines.append(f"  %t{chain} = add {total}, %r{chain} : {kind}")
        total = f"%t{chain}"
    head = f"kernel peak(%a: {kind}, %b: {kind}, %n: u32) group 64 {{\n  buffer @out: {kind}\n"
    text = head + "\n".join([*lines, f"  store @out %i, {total} proved", "  return", "}"])
    return loads(text, language="ir").kernel()


def _update_probe(footprint: int) -> Probe:
    count = footprint // 8
    arrays = {"x": _numbers(count), "out": _numbers(count)}
    return Probe("read 2, write 1", Step(_update_kernel(), count, 64, {"x": "x", "out": "out"}), arrays, 12 * count)


@cache
def _update_kernel() -> Kernel:
    return loads(_UPDATE, language="ir").kernel()


def _read_probe(footprint: int) -> Probe:
    """Reads more than it writes: the ``or`` of elements that lie far apart, an odd number of cache lines, so that they do not share a set."""
    count = (footprint // (4 * (_READS + 1)) // 16 | 1) * 16
    arrays = {"x": _numbers(_READS * count), "out": np.zeros(count, np.uint32)}
    step = Step(_read_kernel(), count, 64, {"x": "x", "out": "out"}, {"apart": count})
    return Probe(f"read {_READS}, write 1", step, arrays, 4 * (_READS + 1) * count)


@cache
def _read_kernel() -> Kernel:
    lines = ["  %i = global_id : u32", "  %v0 = load @x %i proved : u32"]
    index, total = "%i", "%v0"
    for read in range(1, _READS):
        lines += [
            f"  %i{read} = add {index}, %apart : u32",
            f"  %v{read} = load @x %i{read} proved : u32",
            f"  %o{read} = or {total}, %v{read} : u32",
        ]
        index, total = f"%i{read}", f"%o{read}"
    head = "kernel read(%apart: u32) group 64 {\n  buffer @x: u32 read\n  buffer @out: u32\n"
    text = head + "\n".join([*lines, f"  store @out %i, {total} proved", "  return", "}"])
    return loads(text, language="ir").kernel()


def _numbers(count: int) -> Array:
    # Pages that were never written are all one page of zeros, which a cache holds.
    return np.arange(count, dtype=np.uint32)
