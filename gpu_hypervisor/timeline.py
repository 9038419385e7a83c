"""The device's time as a file of Perfetto: which job had it when, and what each job waited for. ui.perfetto.dev opens it.

>>> with Client() as client:
...     slices, _ = client.slices()
...     write_timeline(Path("device.pftrace"), client.jobs(), slices)

A track shows each device, a slice of it named after tenant and job. Below a track for each tenant are its jobs: of each what it did
from its submission to its end, building, waiting, and its turns on the device. Time begins with the first of all.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from qemu_bridge.errors import HostError
from qemu_bridge.host.plain_file import write_atomic
from qemu_bridge.trace.export.perfetto_packets import BEGIN, END, detail, event, track

from .engine import JobRow, SliceRow


def write_timeline(path: Path, jobs: Sequence[JobRow], slices: Sequence[SliceRow], until_ns: int = 0) -> None:
    """Write the timeline of `jobs` and `slices` to a file; one that is there is replaced. Jobs that go on end at `until_ns`.

    Raises `HostError` where the file cannot be written.
    """
    try:
        write_atomic(path, b"".join(_packets(jobs, slices, until_ns)), 0o666)
    except OSError as error:
        raise HostError(f"{path} cannot be written ({error.strerror or error}); give another name") from None


def _packets(jobs: Sequence[JobRow], slices: Sequence[SliceRow], until_ns: int) -> Iterator[bytes]:
    start = min([job.submitted_ns for job in jobs] + [row.began_ns for row in slices], default=0)
    numbers = itertools.count(1)
    labels = {job.number: _label(job) for job in jobs}
    is_first = True
    by_device: dict[str, list[SliceRow]] = {}
    by_job: dict[int, list[SliceRow]] = {}
    for row in slices:
        by_device.setdefault(row.device, []).append(row)
        by_job.setdefault(row.job, []).append(row)
    for device, rows in by_device.items():
        uuid = next(numbers)
        yield track(uuid, device, is_first=is_first)
        is_first = False
        for row in rows:
            name = f"{row.tenant}: {labels.get(row.job, f'job {row.job} {row.kernel}')}"
            notes = detail("class", str(row.job_class)) + detail("charged us", row.used_ns // 1000)
            yield event(row.began_ns - start, uuid, BEGIN, name, notes)
            yield event(row.ended_ns - start, uuid, END)
    for tenant in dict.fromkeys(job.tenant for job in jobs):
        above = next(numbers)
        yield track(above, f"tenant {tenant}", is_first=is_first)
        is_first = False
        for lane in _lanes([job for job in jobs if job.tenant == tenant], until_ns):
            uuid = next(numbers)
            yield track(uuid, "jobs", parent=above)
            for job in lane:
                for moment, kind, name, notes in _spans(job, by_job.get(job.number, ()), until_ns, labels[job.number]):
                    yield event(moment - start, uuid, kind, name, notes)


def _label(job: JobRow) -> str:
    who = ", ".join(f"{process.name} ({process.pid})" for process in job.processes) or job.label
    return f"job {job.number} {job.kernel}".rstrip() + (f" of {who}" if who else "")


def _lanes(jobs: Iterable[JobRow], until_ns: int) -> Iterator[list[JobRow]]:
    """Jobs of a tenant in as few rows as they need: those of a row do not overlap."""
    lanes: list[list[JobRow]] = []
    free: list[tuple[int, int]] = []
    for job in sorted(jobs, key=lambda job: job.submitted_ns):
        if free and free[0][0] <= job.submitted_ns:
            _, place = heapq.heappop(free)
        else:
            place = len(lanes)
            lanes.append([])
        lanes[place].append(job)
        heapq.heappush(free, (_end(job, until_ns), place))
    return iter(lanes)


def _end(job: JobRow, until_ns: int) -> int:
    return job.ended_ns or max(until_ns, job.submitted_ns, job.ready_ns, job.began_ns)


def _spans(job: JobRow, slices: Sequence[SliceRow], until_ns: int, label: str) -> Iterator[tuple[int, int, str, bytes]]:
    """(moment, type, name, details) of a job and of what it did, in order: spans nest, none goes beyond the job's own."""
    end = _end(job, until_ns)
    notes = detail("state", str(job.state)) + detail("class", str(job.job_class or ""))
    notes += detail("error", job.error) if job.error else b""
    yield job.submitted_ns, BEGIN, label, notes
    moments = [(job.submitted_ns, "builds"), (job.ready_ns, "waits")]
    moments += [moment for row in slices for moment in ((row.began_ns, "runs"), (row.ended_ns, "waits"))]
    known = [(min(max(moment, job.submitted_ns), end), name) for moment, name in moments if moment]
    for (begin, name), (close, _) in itertools.pairwise([*known, (end, "")]):
        if begin < close:
            yield begin, BEGIN, name, b""
            yield close, END, "", b""
    yield end, END, "", b""
