"""A slice that runs, and which jobs it gives way to."""

from __future__ import annotations

from dataclasses import dataclass

from .classes import JobClass
from .fair import Flow
from .jobs import Job


@dataclass(slots=True, eq=False)
class Running:
    """A slice of a job on a device; `charged_ns` is what its tenant's tag was raised for it."""

    device: str
    job: Job
    flow: Flow
    job_class: JobClass
    began: int
    charged_ns: int
    was_contended: bool
    is_alone: bool
    """Whether it is longer than its class's slices, as nobody waited."""
    is_preempted: bool = False

    def claim(self, now: int) -> float:
        """The tag that its tenant has by now; infinite for what any job of a better class interrupts, less for what none does."""
        if self.job_class is JobClass.REALTIME:
            return float(self.job.deadline or 0) - float("1e30")
        return self.flow.tag + (now - self.began - self.charged_ns) / self.flow.weight

    def yields_to(self, job: Job, flow: Flow, now: int) -> bool:
        """Whether a new job interrupts it: REALTIME all but earlier deadlines, INTERACTIVE longer slices of tenants that had more.

        A slice that is long because nobody waited gives way to any job that could run beside it.
        """
        if job.job_class is JobClass.REALTIME:
            if self.job_class is not JobClass.REALTIME:
                return True
            return (self.job.deadline or 0) > (job.deadline or 0)
        if self.is_alone and not (self.flow is flow and self.job_class is job.job_class):
            return True
        if job.job_class is not JobClass.INTERACTIVE:
            return False
        if self.job_class in (JobClass.REALTIME, JobClass.INTERACTIVE) or self.flow is flow:
            return False
        return flow.tag <= self.claim(now)
