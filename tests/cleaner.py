"""Run beside a session of tests: when it has ended, however it did, what still runs in its folders ends, and they go.

An interrupted session gets no teardown: its workers are killed, and its guests would run on. A child that a test forked has the
session's end of the pipe, too, and none of its environment: so a line in the pipe, or that the session is gone, is the end, and
who has the pipe open then is a child of the session.
"""

import contextlib
import os
import select
import shutil
import sys
from pathlib import Path

from house import holders_of, kill_all


def await_end(session: int) -> None:
    """Return when process `session` has written something or has ended."""
    with contextlib.suppress(ProcessLookupError):
        select.select([sys.stdin, os.pidfd_open(session)], [], [])


if __name__ == "__main__":
    session = int(sys.argv[1])
    runtime, *folders = map(Path, sys.argv[2:])
    await_end(session)
    pipe = os.readlink("/proc/self/fd/0")
    kill_all(runtime, lambda: holders_of(pipe) - {session, os.getpid()})
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
