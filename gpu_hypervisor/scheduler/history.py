"""What kernels took so far: nanoseconds of a unit, by kernel, newer slices counting more."""

from __future__ import annotations

from collections import OrderedDict

MOST_KERNELS = 4096
"""Those used last are kept."""
NEWER = 0.25
"""Weight of the newest slice."""


class History:
    """Costs of kernels."""

    def __init__(self) -> None:
        self._unit_ns: OrderedDict[str, float] = OrderedDict()

    def add(self, kernel: str, units: int, used_ns: int) -> None:
        """A slice of so many units took so long; nothing is learned from one without a whole unit."""
        if units <= 0:
            return
        measured, before = used_ns / units, self._unit_ns.pop(kernel, None)
        self._unit_ns[kernel] = measured if before is None else before + NEWER * (measured - before)
        if len(self._unit_ns) > MOST_KERNELS:
            self._unit_ns.popitem(last=False)

    def expect(self, kernel: str, units: int) -> float | None:
        """Nanoseconds that so many units will take; None for a kernel that was never measured."""
        each = self._unit_ns.get(kernel)
        return None if each is None else each * units

    def fit(self, kernel: str, budget_ns: int, units: int) -> int:
        """How many of `units` fit into a time: at least one. Of a kernel that was never measured a 64th is tried."""
        each = self._unit_ns.get(kernel)
        wanted = units >> 6 if each is None else budget_ns / max(each, 1e-3)
        return max(1, min(units, int(wanted)))
