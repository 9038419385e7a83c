"""The jobs of this package: ``python -m qemu_bridge.daemon.job_process NAME``, which `jobs.Jobs` starts.

It has one function per operation of cost `Cost.JOB`; the viewer's jobs are in `viewer.job`.
"""

from __future__ import annotations

import signal
import sys
import threading

from ..client import Client
from ..errors import UsageError
from ..host.job import Job, JobRequest, absolute_path, machine_or_path, main
from ..wire.capture_records import Manifest, MemoryDifference
from ..wire.json_text import encode_json
from ..wire.messages import decode_arguments
from ..wire.operations import Operations
from ..wire.records import Answer
from ..wire.trace_records import RecordOptions, RecordResult, TopResult


def capture(job: Job, request: JobRequest) -> Manifest:
    """Write a capture."""
    from ..captures.write import Hooks, write_capture

    options = decode_arguments(Operations.capture, request.options)
    with Client.connect(request.name) as client:
        hooks = Hooks(job.guest_paused, job.progress, job.report_draft)
        return write_capture(
            client, absolute_path(options["output"]), hooks, live=options["live"], replace_old=options["force"]
        )


def compare(job: Job, request: JobRequest) -> Answer[MemoryDifference]:
    """Compare with an earlier capture."""
    from ..captures.compare import compare as compare_machines

    options = decode_arguments(Operations.compare, request.options)
    with Client.connect(machine_or_path(options["before"])) as before, Client.connect(request.name) as after:
        return compare_machines(before, after, options["target"], options["pages"])


def trace_record(job: Job, request: JobRequest) -> RecordResult:
    """Record what the machine executes. Cancelling it ends the recording and keeps the file."""
    from ..trace.recording.record import record_trace

    options = decode_arguments(Operations.trace_record, request.options)
    wanted: RecordOptions = options["options"]
    if wanted.seconds is None and wanted.instructions is None and wanted.until is None:
        raise UsageError("a recording of the daemon's needs an end; give seconds, instructions or until")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Client.connect(request.name) as client:
        return record_trace(
            client,
            absolute_path(options["output"]),
            wanted,
            progress=lambda progress: job.progress(progress.instructions, 0),
            stop=stop,
        )


def trace_top(job: Job, request: JobRequest) -> TopResult:
    """Count a trace, with the names that the machine knows."""
    from ..trace.analysis.naming import naming_of_machine
    from ..trace.analysis.top import top

    options = decode_arguments(Operations.trace_top, request.options)
    with Client.connect(request.name) as client:
        naming = naming_of_machine(client)
    return top(
        absolute_path(options["file"]), options["options"], naming, lambda done: job.progress(done.done, done.frames)
    )


JOBS = {"capture": capture, "compare": compare, "trace_record": trace_record, "trace_top": trace_top}

if __name__ == "__main__":
    sys.exit(main(JOBS, encode_json))
