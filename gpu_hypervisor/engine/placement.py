"""Which of several devices a job runs on: the one that is expected to have done it first.

What a lane of a kernel takes is measured for each device. On one that never ran a kernel it is taken for as fast as the fastest other,
so that each is tried; what it really takes counts from then on.

>>> placement = Placement(["cpu", "wgpu"])
>>> placement.learn("cpu", "saxpy", lanes=1000, used_ns=10_000)
>>> placement.choose("saxpy", 1000, {"cpu": 0.0, "wgpu": 5_000_000.0})
('cpu', 'it is done there in 0.01 ms, with what waits there; on wgpu in 5.01 ms')
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

MOST_KERNELS = 4096
"""Those used last are kept."""
NEWER = 0.25
"""Weight of the newest job."""


class Placement:
    """What kernels cost on `devices`, which are preferred in their order where nothing else is known."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._lane_ns: dict[str, OrderedDict[str, float]] = {name: OrderedDict() for name in devices}

    def learn(self, device: str, kernel: str, lanes: int, used_ns: int) -> None:
        """A job of so many lanes took so much device time."""
        if lanes < 1:
            return
        known = self._lane_ns[device]
        measured, before = used_ns / lanes, known.pop(kernel, None)
        known[kernel] = measured if before is None else before + NEWER * (measured - before)
        if len(known) > MOST_KERNELS:
            known.popitem(last=False)

    def expect(self, device: str, kernel: str, lanes: int) -> float:
        """Nanoseconds that so many lanes take on a device; 0 for a kernel that was never measured anywhere."""
        each = self._lane_ns[device].get(kernel)
        if each is None:
            each = min((known[kernel] for known in self._lane_ns.values() if kernel in known), default=0.0)
        return each * lanes

    def choose(self, kernel: str, lanes: int, waiting: Mapping[str, float]) -> tuple[str, str]:
        """One of the devices in `waiting`, which says how many nanoseconds of work each has, and why."""
        ends = {name: waiting[name] + self.expect(name, kernel, lanes) for name in self._lane_ns if name in waiting}
        chosen = min(ends, key=lambda name: ends[name])
        others = ", ".join(f"on {name} in {end / 1e6:.3g} ms" for name, end in ends.items() if name != chosen)
        if not others:
            return chosen, "no other device takes jobs"
        return chosen, f"it is done there in {ends[chosen] / 1e6:.3g} ms, with what waits there; {others}"
