"""The jobs that this package does: ``python -m qemu_bridge.daemon.job_process NAME``, which `jobs.Jobs` starts.

A function here for each operation of cost `Cost.JOB`; those of the viewer are its own (`viewer.__main__`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..client import Client
from ..host.job import Job, JobRequest, main
from ..wire.messages import decode_arguments
from ..wire.operations import Operations
from ..wire.records import Manifest, MemoryDifference


def capture(job: Job, request: JobRequest) -> Manifest:
    """Write a capture."""
    from ..captures.write import Hooks, write_capture

    options = decode_arguments(Operations.capture, request.options)
    with Client.connect(request.name) as client:
        hooks = Hooks(job.standing_still, job.progress, job.begins_at)
        return write_capture(client, Path(options["output"]), hooks, live=options["live"], replace_old=options["force"])


def compare(job: Job, request: JobRequest) -> MemoryDifference:
    """Compare with an earlier capture."""
    from ..captures.compare import compare as compare_machines

    options = decode_arguments(Operations.compare, request.options)
    with Client.connect(options["before"]) as before, Client.connect(request.name) as after:
        return compare_machines(before, after, options["target"], options["pages"])


JOBS = {"capture": capture, "compare": compare}

if __name__ == "__main__":
    sys.exit(main(JOBS))
