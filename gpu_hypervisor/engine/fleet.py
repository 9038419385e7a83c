"""The devices of a hypervisor: what each is, which take jobs, and where a job goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixel_cpu.errors import LaunchError
from pixel_cpu.runtime import Device, DeviceInfo, devices
from pixel_cpu.runtime.backends import MODULES
from qemu_bridge.errors import UsageError

from ..vms.limits import parse_cores
from .placement import Placement

ON_PROCESSORS = ("cpu", "numba", "reference")
"""Back ends whose kernels stop when their process is stopped."""
_CORES = re.compile(r"(?P<backend>[a-z]+)(?:@(?P<cores>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*))?")
_UNKNOWN_NS = 1e6
"""What a job is taken for whose kernel was never measured."""


@dataclass(frozen=True)
class FleetDevice:
    """A device by its name, such as ``cpu`` or ``cpu@0-1``: the back end, and the processors of its workers (none: all)."""

    name: str
    backend: str
    cores: tuple[int, ...]
    info: DeviceInfo

    @property
    def is_on_processors(self) -> bool:
        """Whether its kernels stop when their process is stopped."""
        return self.backend in ON_PROCESSORS or "llvmpipe" in self.info.description.lower()

    @property
    def description(self) -> str:
        """What stands behind it, in words."""
        return (
            f"{self.info.description} on processors {self.name.partition('@')[2]}"
            if self.cores
            else self.info.description
        )


class Fleet:
    """Devices in the order of preference. Raises `LaunchError` for one that cannot be used, `UsageError` for a name that is none or comes twice."""

    def __init__(self, names: Sequence[str]) -> None:
        if not names or len(set(names)) < len(names):
            raise UsageError(
                "a hypervisor has one device or more, each once; two of a kind differ by their processors: cpu@0 cpu@1"
            )
        self._devices = {name: _find(name) for name in names}
        self._drained: set[str] = set()
        self._placement = Placement(names)
        self._waiting = dict.fromkeys(names, 0.0)
        """Nanoseconds of the jobs that were placed and have not ended."""
        self._jobs: dict[int, tuple[str, str, int, float]] = {}
        """Of each such job the device, the kernel, lanes and nanoseconds."""

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[FleetDevice]:
        return iter(self._devices.values())

    def __getitem__(self, name: str) -> FleetDevice:
        return self._devices[name]

    def limits(self) -> Mapping[str, int]:
        """What a kernel and a launch may have on any of them."""
        found: dict[str, int] = {}
        for device in self:
            for name, limit in (device.info.limits or {}).items():
                found[name] = min(limit, found.get(name, limit))
        return found

    def open(self, memory_bytes: int, options: Mapping[str, Any]) -> dict[str, Device]:
        """Each of them for one tenant: all see the same arrays, of `memory_bytes` together."""
        opened: dict[str, Device] = {}
        first: Device | None = None
        for each in self:
            device = Device(each.backend, memory=memory_bytes, cpus=each.cores, events=False, beside=first, **options)
            opened[each.name] = device
            first = first or device
        return opened

    # Which take jobs

    def is_drained(self, name: str) -> bool:
        """Whether it takes no jobs."""
        return name in self._drained

    def check_taking(self, name: str) -> None:
        """Raise `UsageError` where there is no such device, or it is drained."""
        if name not in self._devices:
            raise UsageError(f"there is no device {name!r}; devices are {', '.join(self._devices)}")
        if name in self._drained:
            raise UsageError(f"device {name} is drained; resume it first")

    def drain(self, name: str) -> None:
        """It takes no jobs from now on. `UsageError` where no other does."""
        if name in self._drained:
            return
        self.check_taking(name)
        if len(self._drained) + 1 == len(self._devices):
            raise UsageError(f"no other device than {name} takes jobs; resume one first")
        self._drained.add(name)

    def resume(self, name: str) -> None:
        """It takes jobs again."""
        if name not in self._devices:
            self.check_taking(name)
        self._drained.discard(name)

    # Where jobs go

    def best(self, kernel: str, lanes: int) -> str:
        """The device where a job would be done first."""
        return self._choose(kernel, lanes)[0]

    def _choose(self, kernel: str, lanes: int) -> tuple[str, str]:
        waiting = {name: load for name, load in self._waiting.items() if name not in self._drained}
        return self._placement.choose(kernel, lanes, waiting)

    def place(
        self, job: int, kernel: str, lanes: int, given: str | None = None, reason: str = "it was given"
    ) -> tuple[str, str]:
        """The device of a job that comes, or is moved, and why; `kernel` names what is measured together.

        It is the one that is `given`, unless that is drained; else where the job would be done first.
        """
        if len(self._devices) == 1:
            return next(iter(self._devices)), "there is no other device"
        self._leave(job)
        if given is not None and given not in self._drained:
            chosen, why = given, reason
        else:
            chosen, why = self._choose(kernel, lanes)
        expected = self._placement.expect(chosen, kernel, lanes) or _UNKNOWN_NS
        self._jobs[job] = chosen, kernel, lanes, expected
        self._waiting[chosen] += expected
        return chosen, why

    def is_sooner(self, device: str, job: int, kernel: str, other: str) -> bool:
        """Whether a job that waits on `other` would be done sooner on a device that has nothing to do."""
        lanes = self._jobs[job][2] if job in self._jobs else 0
        return self._placement.expect(device, kernel, lanes) <= self._waiting[other]

    def ended(self, job: int, used_seconds: float | None) -> None:
        """A job ended; what it used counts for its kernel, where it all ran on one device."""
        if found := self._leave(job):
            device, kernel, lanes, _ = found
            if used_seconds is not None:
                self._placement.learn(device, kernel, lanes, int(used_seconds * 1e9))

    def _leave(self, job: int) -> tuple[str, str, int, float] | None:
        found = self._jobs.pop(job, None)
        if found:
            self._waiting[found[0]] = max(self._waiting[found[0]] - found[3], 0.0)
        return found


def _find(name: str) -> FleetDevice:
    match = _CORES.fullmatch(name)
    if match is None:
        raise UsageError(
            f"{name!r} is no device; give a back end, and processors if it shall have no others: cpu, cpu@0-3, wgpu"
        )
    backend = match["backend"]
    cores = parse_cores(match["cores"]) if match["cores"] else ()
    if cores and backend != "cpu":
        raise UsageError(f"processors are given for cpu, not for {backend}")
    if backend not in MODULES:
        raise UsageError(f"there is no device {backend!r}; devices are {', '.join(MODULES)}")
    (info,) = devices(backend)
    if info.reason:
        raise LaunchError(f"device {name!r} cannot be used: {info.reason}")
    return FleetDevice(name, backend, cores, info)
