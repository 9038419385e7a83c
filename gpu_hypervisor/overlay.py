"""The overlay ``gpu-jobs``: what a guest submitted to the GPU, and which of its processes did.

Jobs are the service's; who has the port open comes from the guest's RAM. A job of the session that is open belongs to whoever has the
port, if the same session was open before RAM was read and after it. Of earlier sessions the service knows what RAM said then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_bridge.errors import HostError
from qemu_bridge.introspection.overlays.gpu_port import read_gpu_port
from qemu_bridge.introspection.overlays.overlay import BuiltOverlay, OverlayContext
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.wire.connection import iter_connections

if TYPE_CHECKING:
    from .engine import JobRow

TRIES = 3


@dataclass(frozen=True, slots=True)
class GpuJob:
    """A job of the guest. `pids` are processes that have the port, or had it; `seen` says when RAM said so: ``now``, ``then`` or ``never``.

    Times are milliseconds: of waiting before the first slice, and on the device. `label` is what the submitter calls itself.
    """

    job: int
    state: str
    job_class: str
    kernel: str
    pids: tuple[int, ...]
    process: str
    seen: str
    label: str
    queued_ms: float
    device_ms: float
    slices: int
    error: str


def read_gpu_jobs(context: OverlayContext, budget: Budget) -> Iterator[GpuJob]:
    """Yield the machine's jobs, oldest first: those that have not ended, and the last ones that did."""
    name = _machine(context)
    if name is None:
        return
    # Imported here: what the service is made of is loaded for those who ask.
    from .service import Client

    try:
        client = Client()
    except HostError:
        budget.skip("no GPU service runs; start one with 'glassbox gpu serve'")
        return
    with client:
        for _ in range(TRIES):
            before = _open_session(client.jobs(name))
            context.forget()
            holders = {row.pid: row.name for row in read_gpu_port(context, budget)}
            jobs = client.jobs(name)
            if _open_session(jobs) == before:
                break
        else:
            holders = {}
            budget.skip("processes came and went while they were looked at; pause the machine to see who submits")
    for job in jobs:
        budget.spend()
        yield _row(job, holders)


def _machine(context: OverlayContext) -> str | None:
    """The machine whose RAM this is, None for one without a share of a GPU."""
    own = os.fspath(context.ram.path)
    return next((each.name for each in iter_connections() if each.ram_path == own and each.gpu_port), None)


def _open_session(jobs: tuple[JobRow, ...]) -> int | None:
    return next((job.session for job in reversed(jobs) if job.is_open), None)


def _row(job: JobRow, holders: dict[int, str]) -> GpuJob:
    noted = {process.pid: process.name for process in job.processes}
    processes, seen = (holders, "now") if job.is_open and holders else (noted, "then")
    return GpuJob(
        job=job.number,
        state=str(job.state),
        job_class=str(job.job_class or ""),
        kernel=job.kernel,
        pids=tuple(processes),
        process=", ".join(dict.fromkeys(processes.values())),
        seen=seen if processes else "never",
        label=job.label,
        queued_ms=round(max(job.began_ns - job.ready_ns, 0) / 1e6, 3) if job.began_ns else 0.0,
        device_ms=round(job.device_seconds * 1e3, 3),
        slices=job.slices,
        error=job.error,
    )


GPU_JOBS = BuiltOverlay(
    "gpu-jobs",
    "What the guest submitted to the GPU, and which of its processes did.",
    (
        "job",
        "state",
        "job_class",
        "kernel",
        "pids",
        "process",
        "seen",
        "label",
        "queued_ms",
        "device_ms",
        "slices",
        "error",
    ),
    read_gpu_jobs,
)
