"""A device opened for measuring: kernels run in this process, arrays stay where the device has them, and its own clock counts if it has one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from ..backends.launch import Array, Outcome
from ..runtime.backends import limits
from ..runtime.device import Device
from .cases import Step

LEAST_SECONDS = 20e-3
"""What is timed takes at least so long: short launches are repeated."""
MAX_REPEATS = 200


class Stand:
    """Runs steps on one device and says how long they took.

    Without a worker nothing is copied to another process. A library's kernels need no limits: they end.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._device = Device(name, isolated=False)
        self.description = self._device.description
        self.limits = limits(name)
        self.clock = ""
        """``device`` or ``host``, after the first launch: which clock counted."""
        self.backend = ""
        """What ran the last launch."""

    def __enter__(self) -> Stand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._device.close()

    def place(self, array: Array) -> Any:  # noqa: ANN401  # an array, or a buffer of the back end's own
        """A copy of an array where the device has it between launches."""
        if self.name != "wgpu":
            return array.copy()
        from ..backends.wgsl import DeviceBuffer  # loads wgpu, which other devices do not need
        from ..backends.wgsl.device import Device as GpuDevice

        return DeviceBuffer.from_array(GpuDevice.default(), array)

    def fetch(self, placed: Any) -> Array:  # noqa: ANN401
        """What an array that was placed holds now."""
        found: Array = placed.download() if self.name == "wgpu" else placed
        return found

    def run(self, steps: Iterable[Step], arrays: Mapping[str, Any]) -> float:
        """Launch the steps one after another; gives their seconds together, compiling not counted."""
        return sum(self._seconds(self._launch(step, arrays)) for step in steps)

    def _launch(self, step: Step, arrays: Mapping[str, Any]) -> Outcome:
        arguments: dict[str, Any] = {parameter: arrays[name] for parameter, name in step.buffers.items()}
        arguments |= step.scalars
        return step.kernel.launch(step.lanes, threads=step.threads, device=self._device, **arguments)

    def _seconds(self, outcome: Outcome) -> float:
        self.backend = outcome.backend
        self.clock = "host" if outcome.device_seconds is None else "device"
        return outcome.seconds if outcome.device_seconds is None else outcome.device_seconds


def repeats_of(run: Callable[[], float]) -> int:
    """How often `run` has to be repeated to take `LEAST_SECONDS`; it is run twice, the second time counts."""
    run()
    return max(1, min(MAX_REPEATS, round(LEAST_SECONDS / max(run(), 1e-9))))


def spread(values: Sequence[float]) -> float:
    """How far measurements lie apart: the distance of their quartiles as a share of the median; 0 of a single one."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle if middle else 0.0
