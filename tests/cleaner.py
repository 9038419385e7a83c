"""Run beside a session of tests: when it has ended, however it did, what still runs in its folders ends, and they go.

An interrupted session gets no teardown: its workers are killed, and its guests would run on.
"""

import shutil
import sys
from pathlib import Path

from house import kill_all

if __name__ == "__main__":
    runtime, *folders = map(Path, sys.argv[1:])
    sys.stdin.read()
    kill_all(runtime)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
