"""A worker that is stopped does nothing, and goes on where it was."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from support import wait_until

from gpu_hypervisor.engine.flight import Flight, Slice


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_is_stopped_and_its_time_is_its_own():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            flight = Flight(None, SimpleNamespace(pid=process.pid), is_launch=True)
            own = Slice(None, 10, time.monotonic_ns(), 0)
            own.begin(flight.pending.pid)
            wait_until(lambda: own.used_ns(flight) > 20_000_000)
            flight.halt()
            wait_until(lambda: state(process.pid) == "T")
            used = own.used_ns(flight)
            time.sleep(0.05)
            assert own.used_ns(flight) == used and flight.is_stopped
            flight.resume()
            wait_until(lambda: own.used_ns(flight) > used)
        finally:
            process.kill()
    assert flight.cpu_ns() is None and own.used_ns(flight) > 0
    flight.halt()  # it is gone: nothing to stop
