"""What the owner of the devices decides: guarantees, caps, lengths of slices."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from qemu_bridge.errors import UsageError

from .classes import FAIR, JobClass


class Policy(msgspec.Struct, frozen=True):
    """Rules of a scheduler. Times are nanoseconds, shares parts of 1.

    `guarantees` are least shares of device time of classes whose jobs wait. That of REALTIME is what its jobs can be promised
    together: more are refused. `caps` are largest shares of a class while jobs of others wait; alone it has all.
    """

    guarantees: Mapping[JobClass, float] = msgspec.field(default_factory=lambda: {JobClass.REALTIME: 0.2})
    caps: Mapping[JobClass, float] = msgspec.field(default_factory=lambda: {JobClass.BATCH: 0.6})
    slices_ns: Mapping[JobClass, int] = msgspec.field(
        default_factory=lambda: {
            JobClass.REALTIME: 10_000_000,
            JobClass.INTERACTIVE: 2_000_000,
            JobClass.THROUGHPUT: 10_000_000,
            JobClass.BATCH: 5_000_000,
        }
    )
    """A slice of a job ends after so long where others wait."""
    alone_ns: int = 1_000_000_000
    """A slice may last so long where nobody waits, on devices that can be interrupted: a job that comes interrupts it."""
    window_ns: int = 500_000_000
    """Contended device time that shares of classes are measured over; older time counts less and less."""
    switch_ns: int = 1_000_000
    """What it takes to interrupt a slice, at most: a deadline that is nearer cannot be promised."""
    realtime_jobs: int = 256
    """Admitted REALTIME jobs that wait or run."""
    reasons: int = 32
    """Reasons that are kept of each job."""
    ended_jobs: int = 1000
    """Ended jobs whose reasons are kept."""

    def checked(self) -> Policy:
        """This policy; `UsageError` where shares contradict each other or a slice has no length."""
        for what, shares in (("guarantee", self.guarantees), ("cap", self.caps)):
            for name, share in shares.items():
                if not 0 < share <= 1:
                    raise UsageError(f"the {what} of {name} is {share:g}; it is above 0 and at most 1")
        if sum(self.guarantees.values()) > 1:
            raise UsageError("the guarantees of all classes are more than 1 together; lower some")
        for name, share in self.guarantees.items():
            if self.caps.get(name, 1.0) < share:
                raise UsageError(f"the cap of {name} is below its guarantee")
        if missing := [name for name in JobClass if self.slices_ns.get(name, 0) <= 0]:
            raise UsageError(f"slices of {missing[0]} have no length; give slices_ns a time above 0")
        if self.window_ns <= 0 or self.alone_ns <= 0 or self.switch_ns < 0 or self.realtime_jobs < 1:
            raise UsageError(
                "a window and a slice alone are longer than 0, a switch takes 0 or more, and 1 REALTIME job is the least"
            )
        return self

    @property
    def promised(self) -> float:
        """Share of each device that REALTIME jobs can be promised."""
        return self.guarantees.get(JobClass.REALTIME, 0.0)

    @property
    def capped(self) -> tuple[tuple[JobClass, float], ...]:
        """Caps of the classes that share by weight."""
        return tuple((name, self.caps[name]) for name in FAIR if name in self.caps)
