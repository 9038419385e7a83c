"""The viewer's jobs, ``python -m viewer job snap|record_video``, which the daemon starts (`qemu_bridge.host.job`)."""

from __future__ import annotations

from qemu_bridge.host.job import Job, JobRequest
from qemu_bridge.wire.messages import decode_arguments
from qemu_bridge.wire.operations import Operations
from qemu_bridge.wire.picture_records import SnapResult, VideoResult

from .picture.snap import snap_machine
from .picture.video import record_machine


def snap(job: Job, request: JobRequest) -> SnapResult:
    """Draw a picture."""
    return snap_machine(request.name, decode_arguments(Operations.snap, request.options)["options"], job.progress)


def record_video(job: Job, request: JobRequest) -> VideoResult:
    """Record a video."""
    options = decode_arguments(Operations.record_video, request.options)["options"]
    return record_machine(request.name, options, job.progress)


JOBS = {"snap": snap, "record_video": record_video}
