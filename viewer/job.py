"""The viewer's jobs, ``python -m viewer job snap|record_video``, which the daemon starts (`qemu_bridge.host.job`)."""

from __future__ import annotations

from pathlib import Path

from qemu_bridge.host.job import Job, JobRequest, absolute_path, machine_or_path
from qemu_bridge.wire.messages import decode_arguments
from qemu_bridge.wire.operations import Operations
from qemu_bridge.wire.picture_records import SnapOptions, SnapResult, VideoOptions, VideoResult

from .picture.mp4 import partial_path
from .picture.snap import snap_machine
from .picture.video import record_machine


def snap(job: Job, request: JobRequest) -> SnapResult:
    """Draw a picture."""
    options: SnapOptions = decode_arguments(Operations.snap, request.options)["options"]
    _check_paths(options)
    return snap_machine(request.name, options, job.progress)


def record_video(job: Job, request: JobRequest) -> VideoResult:
    """Record a video."""
    options: VideoOptions = decode_arguments(Operations.record_video, request.options)["options"]
    _check_paths(options)
    job.report_draft(partial_path(Path(options.output)))
    return record_machine(request.name, options, job.progress)


def _check_paths(options: SnapOptions | VideoOptions) -> None:
    absolute_path(options.output)
    if options.against is not None:
        machine_or_path(options.against)


JOBS = {"snap": snap, "record_video": record_video}
