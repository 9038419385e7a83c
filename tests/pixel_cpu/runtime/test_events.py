"""What programs launch, heard in another process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from support import wait_until

import pixel_cpu
from pixel_cpu.backends.launch import Launch, Outcome
from pixel_cpu.errors import LimitError
from pixel_cpu.runtime import events
from pixel_cpu.runtime.events import Announcer, Listener, buffer_uses
from qemu_bridge.errors import HostError
from qemu_bridge.host.folders import runtime_folder

DOUBLE = """
kernel double(%a: f32) {
  buffer @x: f32 read
  buffer @y: f32
  %i = global_id : u32
  %v = load @x %i trap : f32 !4
  %w = mul %a, %v : f32
  store @y %i, %w trap !5
  return
}
"""
SPIN = "kernel spin() {\n loop ^L () {\n continue ^L\n }\n return\n}"
PROGRAM = f"""
import numpy as np
import pixel_cpu as px
kernel = px.loads('''{DOUBLE}''', language="ir").kernel()
with px.Device("reference") as device:
    x, y = device.array(np.arange(10, dtype="f4")), np.zeros(10, "f4")
    kernel.launch(12, a=2.0, x=x, y=y, device=device, raise_traps=False)
"""
LISTEN = """
from pixel_cpu.runtime.events import Listener
with Listener() as listener:
    print("listening", flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def runtime(monkeypatch):
    """A runtime folder in which nobody else listens; a short one, as a socket's path is limited."""
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def double():
    return pixel_cpu.loads(DOUBLE, language="ir").kernel()


@pytest.fixture
def announcer(monkeypatch):
    """The one of this process's launches, which knows of no listener yet."""
    found = Announcer()
    monkeypatch.setattr("pixel_cpu.runtime.device.ANNOUNCER", found)
    yield found
    found.close()


@pytest.fixture
def launch(double, announcer):
    """Launches over six lanes in this process."""
    device = pixel_cpu.Device("reference", isolated=False)
    x, y = np.ones(6, "f4"), np.zeros(6, "f4")
    return lambda kernel=double, **words: kernel.launch(6, device=device, **({"a": 3.0, "x": x, "y": y} | words))


def sockets():
    return sorted((runtime_folder() / "launches").iterdir())


def test_a_launch_of_another_program_is_heard_with_all_that_it_did():
    with Listener() as listener:
        program = subprocess.Popen([sys.executable, "-c", PROGRAM])
        (event,) = listener.receive(60)
        assert program.wait(60) == 0
    assert (event.pid, event.program, event.number) == (program.pid, "-c", 1)
    assert (event.device, event.backend, event.kernel) == ("reference", "reference", "double")
    assert (event.lanes, event.group, event.scalars) == (12, 32, {"a": 2.0})
    assert event.seconds > 0 and event.begun > 1e9
    x, y = event.buffers
    assert (x.name, x.type, x.elements, x.bytes, x.is_loaded, x.is_stored, x.place) == (
        *("x", "f32", 10, 40, True, False),
        "shared",
    )
    assert (y.name, y.is_loaded, y.is_stored, y.place) == ("y", False, True, "copied") and x.address and y.address
    assert event.is_counted and event.counters.loads == 10 and event.moved_bytes == event.counters.bytes_loaded + 40
    assert (event.trap.lane, event.trap.reason, event.trap.line, event.traps) == (10, "index 10 outside x[10]", 4, 2)


def test_nobody_listens_and_a_launch_looks_at_the_clock(launch, monkeypatch):
    looks = []
    monkeypatch.setattr(events, "LOOK_S", 3600.0)
    monkeypatch.setattr(events, "_listener_paths", lambda: looks.append(1) or [])
    for _ in range(20):
        launch()
    assert len(looks) == 1
    assert not os.path.lexists(runtime_folder() / "launches")


def test_listeners_come_and_go_while_a_program_runs(launch, monkeypatch):
    monkeypatch.setattr(events, "LOOK_S", 0.0)
    launch()
    with Listener() as first, Listener() as second:
        launch()
        assert [event.number for event in first.receive(60)] == [event.number for event in second.receive(60)] == [1]
    launch()
    assert sockets() == []
    with Listener() as third:
        launch()
        (event,) = third.receive(60)
        assert event.kernel == "double" and third.lost == 0


def test_a_device_without_events_is_not_heard(launch, double):
    with Listener() as listener:
        silent = pixel_cpu.Device("reference", isolated=False, events=False)
        double.launch(6, device=silent, a=1.0, x=np.ones(6, "f4"), y=np.zeros(6, "f4"))
        launch()
        assert [event.number for event in listener.receive(60)] == [1]


def test_a_launch_that_failed_says_why(announcer):
    spin = pixel_cpu.loads(SPIN, language="ir").kernel()
    with Listener() as listener, pixel_cpu.Device("reference") as device:
        with pytest.raises(LimitError):
            spin.launch(1, device=device, seconds=0.2)
        (event,) = listener.receive(60)
    assert "not done within 0.2 s" in event.error and event.backend == "" and event.counters is None


def test_a_slow_listener_holds_up_no_launch_and_knows_what_it_lost(double, announcer):
    outcome = Outcome("quick", None, 0, None)
    launch = Launch(6, 32, {"a": 1.0}, {"x": np.ones(6, "f4"), "y": np.ones(6, "f4")})

    def announce():
        announcer.announce(double.module, "double", launch, "cpu", lambda _: "in place", lambda: outcome)

    with Listener() as listener:
        assert announcer.is_heard()
        for _ in range(20_000):
            announce()
        found = listener.receive(60)
        while more := listener.receive(0):
            found += more
        assert 0 < len(found) < 20_000
        announce()  # what was lost shows by the number of the next one
        (last,) = listener.receive(60)
        assert last.number == 20_001 and listener.lost == 20_000 - len(found)


def test_the_socket_of_a_killed_listener_is_removed_by_who_finds_it(launch, monkeypatch):
    monkeypatch.setattr(events, "LOOK_S", 0.0)

    def leave_one():
        dead = subprocess.Popen([sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert dead.stdout.readline() == b"listening\n"
        dead.send_signal(signal.SIGKILL)
        dead.communicate()
        assert len(sockets()) == 1

    leave_one()
    launch()
    assert sockets() == []
    leave_one()
    with Listener():
        assert len(sockets()) == 1
    assert sockets() == []


def test_the_folder_is_closed_to_others_and_one_that_is_not_ours_is_not_told(launch, runtime, monkeypatch):
    with Listener() as listener:
        assert stat.S_IMODE((runtime_folder() / "launches").stat().st_mode) == 0o700
        launch()
        assert listener.receive(60)
        (runtime / "other").mkdir()
        (runtime / "other/glassbox").symlink_to(runtime / "glassbox")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "other"))
        assert not Announcer().is_heard()


def test_a_folder_too_deep_for_sockets_is_refused(runtime, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / ("deep" * 30)))
    with pytest.raises(HostError, match="set XDG_RUNTIME_DIR"):
        Listener()


def test_another_thread_ends_the_wait():
    with Listener() as listener:
        threading.Timer(0.05, listener.wake).start()
        assert listener.receive() == []
        assert listener.receive(0) == []


def test_what_is_no_event_is_passed_over(launch, monkeypatch):
    with Listener() as listener:
        connection = events._connect(sockets()[0])
        connection.send(b"\xff\x00 no message")
        connection.send(b"\x80")
        launch()
        found = []
        wait_until(lambda: found.extend(listener.receive(1)) or found)
        assert [event.kernel for event in found] == ["double"]
        connection.close()


def test_uses_of_buffers_are_seen_through_calls():
    program = pixel_cpu.loads(
        """
function fill(%i: u32) {
  buffer @y: u32
  %old = atomic_add @y %i, %i trap : u32
  return
}
kernel main() {
  buffer @x: u32
  buffer @y: u32
  buffer @z: u32
  %i = global_id : u32
  %n = length @z : u32
  store @x %i, %n trap
  call @fill %i
  return
}
""",
        language="ir",
    )
    kernel = program.kernel().definition
    assert buffer_uses(program.module, kernel) == {"x": (False, True), "y": (True, True), "z": (False, False)}
