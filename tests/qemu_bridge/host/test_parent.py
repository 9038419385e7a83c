"""A child process that ends with its parent."""

import subprocess
import sys
import time
from pathlib import Path

from support import wait_until

CHILD = """
import os, sys, time
from qemu_bridge.host.parent import die_with_parent
die_with_parent(int(sys.argv[1]) or os.getppid())
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], "0"])
time.sleep(60)
"""


def test_a_child_is_killed_when_its_parent_is():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())
    parent.stdout.close()


def test_a_child_of_another_parent_ends_at_once():
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", CHILD, "1"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "") and time.monotonic() - started < 20
