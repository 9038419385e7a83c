"""A job: long work in a process of its own that a daemon controls over pipes (docs/protocol.md, "Jobs").

The process reads one JSON object from standard input, a `JobRequest`, and writes each `JobMessage` as a line of JSON: progress,
requests to the daemon, and last its result or error. Nothing else goes to standard output.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from ..errors import GlassBoxError, JobCancelledError, UsageError
from .logs import log_to_stderr
from .parent import die_with_parent

logger = logging.getLogger(__name__)


class JobRequest(msgspec.Struct, frozen=True):
    """The machine and the arguments of a job. It ends with process `parent_pid`, unless that is 0."""

    name: str
    options: msgspec.Raw
    parent_pid: int = 0


class JobMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a job: exactly one of these is set.

    Attributes:
        progress: (done, total).
        ask: ``pause`` or ``resume``; the daemon answers ``true`` or ``false``, a line each: whether the runstate changed.
        draft: a folder or file to remove if the job is killed.
        ok: the job ended, with `result`, or with `kind` and `message` of an error.
    """

    progress: tuple[int, int] | None = None
    ask: str = ""
    draft: str = ""
    ok: bool | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    kind: str = ""
    message: str = ""


def absolute_path(text: str) -> Path:
    """`text` as the path that a job's option names; `UsageError` for a relative one, as the daemon has no folder of the client's."""
    if not os.path.isabs(text) or "\0" in text:
        raise UsageError(f"{text[:200]!r} is no absolute path on the daemon's host; write it from / on")
    return Path(text)


def machine_or_path(text: str) -> str:
    """`text` if it names a machine, or a capture by its absolute path; `UsageError` for a relative path."""
    return str(absolute_path(text)) if os.sep in text or "\0" in text else text


class Job:
    """The job process's end of the pipes."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(0), "rb")
        self._messages = os.fdopen(os.dup(1), "wb")
        # What a library prints goes to the log, not between the messages.
        os.dup2(2, 1)

    def read_request(self) -> JobRequest:
        """Read the request; from now on the process ends with its parent."""
        request = msgspec.json.decode(self._requests.readline(), type=JobRequest)
        if request.parent_pid:
            die_with_parent(request.parent_pid)
        return request

    def send(self, message: JobMessage) -> None:
        """Send a message to the daemon."""
        self._messages.write(msgspec.json.encode(message) + b"\n")
        self._messages.flush()

    def progress(self, done: int, total: int) -> None:
        """Report progress."""
        self.send(JobMessage(progress=(done, total)))

    def report_draft(self, path: Path) -> None:
        """Name the file or folder to remove if the job is killed."""
        self.send(JobMessage(draft=str(path)))

    @contextmanager
    def guest_paused(self) -> Iterator[bool]:
        """A context in which the daemon keeps the guest paused; yields whether this paused it."""
        was_running = self._ask("pause")
        try:
            yield was_running
        finally:
            self._ask("resume")

    def _ask(self, what: str) -> bool:
        self.send(JobMessage(ask=what))
        return self._requests.readline().strip() == b"true"


def run_job(
    name: str, functions: Mapping[str, Callable[[Job, JobRequest], Any]], encode: Callable[[Any], bytes]
) -> int:
    """Run the job `name`, one of `functions`; return the exit status. SIGTERM cancels it as Ctrl-C does.

    `encode` gives the JSON of a result.
    """
    log_to_stderr(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    job = Job()
    try:
        result = functions[name](job, job.read_request())
        job.send(JobMessage(ok=True, result=msgspec.Raw(encode(result))))
        return 0
    except GlassBoxError as error:
        job.send(JobMessage(ok=False, kind=type(error).__name__, message=str(error)))
        return error.exit_status
    except KeyboardInterrupt:
        job.send(
            JobMessage(
                ok=False, kind=JobCancelledError.__name__, message=f"{name} was cancelled; its files were removed"
            )
        )
        return 130
    except Exception as error:
        logger.exception("%s failed", name)
        job.send(
            JobMessage(
                ok=False,
                kind="MachineError",
                message=f"{name} failed ({type(error).__name__}: {error}); see the daemon's log",
            )
        )
        return 1


def _interrupt(number: int, frame: object) -> NoReturn:
    # Only once: clean-up must not be interrupted.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: None)
    raise KeyboardInterrupt


def main(functions: Mapping[str, Callable[[Job, JobRequest], Any]], encode: Callable[[Any], bytes]) -> int:
    """Run the job that the command line names, as `run_job` does."""
    return run_job(sys.argv[-1], functions, encode)
