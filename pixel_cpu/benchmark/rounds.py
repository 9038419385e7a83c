"""Benchmarks of kernels: rates with what they were measured on, their error, and where they stand under the roofs of their device.

>>> measure(["saxpy", "matmul"], ["cpu"]).measurements[0].bytes_per_second
9.8e9
"""

from __future__ import annotations

import difflib
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..errors import UsageError
from .cases import CASES, Case, Task
from .peaks import Roof, bandwidth_roof, compute_roof, footprint_class, memory_footprint
from .stand import Stand, repeats_of, spread
from .work import Unit, largest_error, least_traffic

ROUNDS = 5

Progress = Callable[[str], object]


class Size(Enum):
    """How large the problems are."""

    TINY = "tiny"
    SMALL = "small"
    FULL = "full"


class Bound(Enum):
    """Which roof a kernel stands under: it computes too little for each byte, or enough."""

    MEMORY = "memory"
    COMPUTE = "compute"


@dataclass(frozen=True)
class Rate:
    """A measured roof: the median of the rounds in units a second, how far they spread, and the kernel that reached it."""

    rate: float
    spread: float
    kernel: str


@dataclass(frozen=True)
class Roofline:
    """The roofs of a device. `bandwidth` is by footprint in bytes, the largest one that of memory itself."""

    device: str
    description: str
    threads: int | None
    flops: Rate
    ops: Rate | None
    bandwidth: dict[int, Rate]

    @property
    def memory_footprint(self) -> int:
        """Bytes of the arrays that no cache holds."""
        return max(self.bandwidth)

    def compute(self, unit: Unit) -> Rate:
        """The roof of arithmetic on floats or on integers."""
        roof = self.flops if unit is Unit.FLOP else self.ops
        assert roof is not None, "it is measured where a kernel needs it"
        return roof


@dataclass(frozen=True)
class Measurement:
    """A kernel on a device. `seconds` are the median of the rounds, by the clock of the device or of the host.

    `work` are operations of `unit`, `rate` those of a second, and `counted` says where the number comes from. `bytes` is the least
    traffic of its buffers, `footprint` their bytes. `error` is the largest relative one against float64; integers have 0 or infinity. `roof` is what the
    roofs allow at this `intensity` (operations a byte), `share` the median over rounds of how much of it was reached.
    """

    kernel: str
    device: str
    backend: str
    shape: str
    dtype: str
    lanes: int
    group: int
    launches: int
    threads: int | None
    seconds: float
    spread: float
    clock: str
    unit: Unit
    work: int
    counted: str
    rate: float
    bytes: int
    bytes_per_second: float
    footprint: int
    error: float
    is_right: bool
    intensity: float
    bound: Bound
    roof: float
    share: float


@dataclass(frozen=True)
class Benchmark:
    """What was measured, and how busy the host was meanwhile: its load average and processors."""

    rooflines: tuple[Roofline, ...]
    measurements: tuple[Measurement, ...]
    rounds: int
    load: float
    processors: int


def measure(
    names: Sequence[str] = (),
    devices: Sequence[str] = ("cpu",),
    *,
    size: Size = Size.SMALL,
    rounds: int = ROUNDS,
    progress: Progress = lambda text: None,
) -> Benchmark:
    """Measure kernels of `CASES` (all of them by default) on devices.

    Each round measures every roof and every kernel once, so that a busy host slows both: shares are medians of ratios within a
    round. Raises `UsageError` for a kernel that is not there, `DeviceError` for a device that cannot be used.
    """
    cases = [_find(name) for name in dict.fromkeys(names or CASES)]
    with ExitStack() as stack:
        benches = [_Bench(stack.enter_context(Stand(device))) for device in dict.fromkeys(devices)]
        for case in cases:
            task = case.make(getattr(case, size.value))
            progress(f"preparing {case.name}, {task.shape}")
            for bench in benches:
                bench.runs.append(_Run(bench.stand, case, task))
        for bench in benches:
            progress(f"looking for the roofs of {bench.stand.name}")
            bench.find_roofs()
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for bench in benches:
                bench.round()
    return Benchmark(
        tuple(bench.roofline() for bench in benches),
        tuple(found for bench in benches for found in bench.measurements()),
        rounds,
        os.getloadavg()[0],
        len(os.sched_getaffinity(0)),
    )


def _find(name: str) -> Case:
    if name in CASES:
        return CASES[name]
    near = difflib.get_close_matches(name, CASES, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(CASES)}"
    raise UsageError(f"there is no benchmark {name!r}; {hint}")


class _Bench:
    """All cases on one device, with the roofs that they need."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.runs: list[_Run] = []

    def find_roofs(self) -> None:
        most = memory_footprint(self.stand)
        units = {Unit.FLOP, *(run.case.unit for run in self.runs)}
        self.classes = {run: footprint_class(run.footprint, most) for run in self.runs}
        self.compute = {unit: compute_roof(self.stand, unit) for unit in units}
        self.bandwidth = {size: bandwidth_roof(self.stand, size) for size in {most, *self.classes.values()}}

    def round(self) -> None:
        for roof in (*self.compute.values(), *self.bandwidth.values()):
            roof.measure()
        for run in self.runs:
            run.seconds.append(run.measure())

    def roofline(self) -> Roofline:
        ops = self.compute.get(Unit.OP)
        return Roofline(
            self.stand.name,
            self.stand.description,
            self.stand.limits.get("threads"),
            _rate(self.compute[Unit.FLOP]),
            _rate(ops) if ops else None,
            {size: _rate(self.bandwidth[size]) for size in sorted(self.bandwidth)},
        )

    def measurements(self) -> Iterator[Measurement]:
        for run in self.runs:
            yield self._measurement(run)

    def _measurement(self, run: _Run) -> Measurement:
        """The kernel against its roofs, round by round."""
        arithmetic, memory = self.compute[run.case.unit].rates, self.bandwidth[self.classes[run]].rates
        intensity = run.task.work / run.bytes
        roofs = [min(peak, intensity * rate) for peak, rate in zip(arithmetic, memory, strict=True)]
        shares = [run.task.work / took / roof for took, roof in zip(run.seconds, roofs, strict=True)]
        is_memory = intensity * statistics.median(memory) < statistics.median(arithmetic)
        seconds = statistics.median(run.seconds)
        return Measurement(
            kernel=run.case.name,
            device=self.stand.name,
            backend=run.backend,
            shape=run.task.shape,
            dtype=run.case.dtype,
            lanes=run.task.steps[0].lanes,
            group=run.task.steps[0].threads,
            launches=len(run.task.steps),
            threads=self.stand.limits.get("threads"),
            seconds=seconds,
            spread=spread(run.seconds),
            clock=run.clock,
            unit=run.case.unit,
            work=run.task.work,
            rate=run.task.work / seconds,
            counted=f"{'counted' if run.case.is_counted else 'formula'}: {run.case.formula}",
            bytes=run.bytes,
            bytes_per_second=run.bytes / seconds,
            footprint=run.footprint,
            error=run.error,
            is_right=run.error <= run.case.tolerance,
            intensity=intensity,
            bound=Bound.MEMORY if is_memory else Bound.COMPUTE,
            roof=statistics.median(roofs),
            share=statistics.median(shares),
        )


def _rate(roof: Roof) -> Rate:
    return Rate(statistics.median(roof.rates), spread(roof.rates), roof.name)


class _Run:
    """A case on a device: checked once, then timed in each round."""

    def __init__(self, stand: Stand, case: Case, task: Task) -> None:
        self.stand, self.case, self.task = stand, case, task
        sizes = {name: array.nbytes for name, array in task.arrays.items()}
        self.footprint = sum(sizes.values())
        self.bytes = sum(
            least_traffic(step.kernel, {parameter: sizes[name] for parameter, name in step.buffers.items()})
            for step in task.steps
        )
        self._placed: dict[str, Any] = {name: stand.place(array) for name, array in task.arrays.items()}
        self._once()
        found = {name: stand.fetch(self._placed[name]) for name in task.expected}
        self.error = max(largest_error(found[name], wanted) for name, wanted in task.expected.items())
        self.backend, self.clock = stand.backend, stand.clock
        self.task = replace(task, arrays={}, expected={})  # large problems would not fit twice
        self._repeats = repeats_of(self._once)
        self.seconds: list[float] = []

    def _once(self) -> float:
        return self.stand.run(self.task.steps, self._placed)

    def measure(self) -> float:
        """Seconds of all launches of the task once, from as many repeats as one can time."""
        return sum(self._once() for _ in range(self._repeats)) / self._repeats
