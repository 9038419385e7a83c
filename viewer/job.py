"""The viewer's jobs, ``python -m viewer job snap|record_video``, which the daemon starts (`qemu_bridge.host.job`)."""

from __future__ import annotations

from pathlib import Path

from qemu_bridge.host.job import Job, JobRequest, absolute_path, machine_or_path
from qemu_bridge.wire.messages import decode_arguments
from qemu_bridge.wire.operations import Operations
from qemu_bridge.wire.picture_records import SnapOptions, SnapResult, VideoOptions, VideoResult

from .picture.mp4 import partial_path
from .picture.snap import snap_machines
from .picture.video import record_machines


def snap(job: Job, request: JobRequest) -> SnapResult:
    """Draw a picture."""
    options: SnapOptions = decode_arguments(Operations.snap, request.options)["options"]
    return snap_machines(_names(request, options), options, job.progress)


def record_video(job: Job, request: JobRequest) -> VideoResult:
    """Record a video."""
    options: VideoOptions = decode_arguments(Operations.record_video, request.options)["options"]
    names = _names(request, options)
    job.report_draft(partial_path(Path(options.output)))
    return record_machines(names, options, job.progress)


def _names(request: JobRequest, options: SnapOptions | VideoOptions) -> tuple[str, ...]:
    """What to draw; `UsageError` for a path that is relative."""
    absolute_path(options.output)
    if options.against is not None:
        machine_or_path(options.against)
    return (request.name, *map(machine_or_path, options.beside))


JOBS = {"snap": snap, "record_video": record_video}
