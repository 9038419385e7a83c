"""Idle connections by the hundred, from another process."""

import contextlib
import subprocess
import sys

FLOOD = """
import resource, socket, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX)
    one.setblocking(False)
    try:
        one.connect(sys.argv[1])
        held.append(one)
    except OSError:
        time.sleep(0.001)
print(len(held), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def flood(address, count):
    """So many idle connections from another process, as far as they are taken."""
    words = [sys.executable, "-c", FLOOD, address.removeprefix("ipc://"), str(count)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(timeout=120)
