"""Jobs: the daemon watches them, so neither a client nor a job that is killed leaves the guest other than it was."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
import zmq
from support import booted, glassbox, wait_until

from qemu_bridge.captures.files import read_manifest
from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, MachineGoneError, UsageError
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.wire.picture_records import SnapOptions, VideoOptions
from qemu_bridge.wire.records import PROTOCOL_VERSION, Runstate
from qemu_bridge.wire.trace_records import RecordOptions

pytestmark = pytest.mark.guest

KILLS = 8
SEED = 7


def capturing(machine, folder):
    """A client that captures, in a process of its own."""
    command = [sys.executable, "-m", "qemu_bridge.cli", "capture", machine.name, "-o", str(folder), "--force"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def job_processes(machine):
    """The job processes of the machine's daemon."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if b"qemu_bridge.daemon.job_process" in words and parent == machine.client.connection.daemon_pid:
            found.append(int(path.name))
    return found


def is_settled(machine):
    return not job_processes(machine) and machine.client.status().runstate is Runstate.RUNNING


def test_a_client_killed_at_any_moment_leaves_the_guest_as_it_was(machine, tmp_path):
    dice = random.Random(SEED)
    for number in range(KILLS):
        client = capturing(machine, tmp_path / f"at{number}")
        time.sleep(dice.uniform(0.0, 1.5))
        client.kill()
        client.wait()
        wait_until(lambda: is_settled(machine))
    # What was begun is finished by the daemon or is not there: no draft stays.
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    for path in tmp_path.iterdir():
        assert read_manifest(path).ram_bytes == machine.ram.size


def test_a_job_killed_at_any_moment_leaves_the_guest_running_and_no_files(machine, tmp_path):
    dice = random.Random(SEED)
    for number in range(KILLS):
        client = capturing(machine, tmp_path / f"at{number}")
        wait_until(lambda client=client: job_processes(machine) or client.poll() is not None)
        time.sleep(dice.uniform(0.0, 1.0))
        for pid in job_processes(machine):
            os.kill(pid, signal.SIGKILL)
        assert client.wait(60) in (0, 1)
        wait_until(lambda: is_settled(machine))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_guest_that_was_paused_stays_paused(machine, tmp_path):
    with machine.paused():
        assert machine.client.capture(str(tmp_path / "still")).paused_s == 0
        assert machine.client.status().runstate is Runstate.PAUSED


def test_progress_is_told_while_a_job_goes_on(machine, tmp_path):
    told = []
    with machine.client.progress(lambda done, total: told.append((done, total))):
        machine.client.capture(str(tmp_path / "one"))
    assert told[-1][0] == told[-1][1] > 1 << 20 and [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("when", ["at once", "when it runs"])
def test_a_cancelled_job_ends_and_leaves_nothing(machine, tmp_path, when):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(machine.client.connection.control)
        arguments = {"output": str(tmp_path / "never")}
        socket.send_json({"protocol": PROTOCOL_VERSION, "id": 5, "operation": "capture", "arguments": arguments})
        if when == "when it runs":
            wait_until(lambda: job_processes(machine))
        message = {"protocol": PROTOCOL_VERSION, "id": 6, "operation": "cancel", "arguments": {"request": 5}}
        socket.send_json(message)
        replies = {}
        while len(replies) < 2:
            assert socket.poll(60_000)
            reply = json.loads(socket.recv_multipart()[0])
            if "progress" not in reply:
                replies[reply["id"]] = reply
    assert replies[6]["result"] is True and replies[5]["error"]["kind"] == "JobCancelledError"
    wait_until(lambda: is_settled(machine))
    assert list(tmp_path.iterdir()) == []
    assert machine.client.cancel(5) is False


def test_errors_of_a_job_are_those_of_the_operation(machine, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        machine.client.capture(str(tmp_path / "taken"))
    with pytest.raises(UsageError, match="live: expected boolean, got string"):
        machine.client.capture(str(tmp_path / "new"), live="yes")


def test_more_jobs_than_a_machine_does_at_once_are_refused_in_words(machine, tmp_path):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(machine.client.connection.control)
        for number in range(6):
            arguments = {"output": str(tmp_path / str(number)), "live": True}
            socket.send_json(
                {"protocol": PROTOCOL_VERSION, "id": number, "operation": "capture", "arguments": arguments}
            )
        answers = []
        while len(answers) < 6:
            assert socket.poll(120_000)
            reply = json.loads(socket.recv_multipart()[0])
            if "progress" not in reply:
                answers.append(reply)
    refused = [reply for reply in answers if not reply["ok"]]
    assert len(refused) == 2 and all("wait for one to end" in reply["error"]["message"] for reply in refused)


def over_the_wire(machine, operation, **arguments):
    """The result of a job as another language would ask for it."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(machine.client.connection.control)
        socket.send_json({"protocol": PROTOCOL_VERSION, "id": 1, "operation": operation, "arguments": arguments})
        while True:
            assert socket.poll(120_000)
            reply = json.loads(socket.recv_multipart()[0])
            if "progress" not in reply:
                assert reply["ok"], reply
                return reply["result"]


def test_compare_gives_the_same_from_python_from_the_command_line_and_over_the_wire(machine, tmp_path):
    from qemu_bridge.captures.compare import compare

    before = str(tmp_path / "before")
    machine.client.capture(before)
    machine.exec("dd if=/dev/urandom of=/tmp/compared bs=64k count=4")
    try:
        with machine.paused(), Client.connect(before) as earlier:
            python = msgspec.to_builtins(compare(earlier, machine.client, pages=True).value)
            command_line = json.loads(glassbox("compare", before, machine.name, "--pages", "--json").stdout)
            wire = over_the_wire(machine, "compare", before=before, pages=True)["value"]
            earlier.stop()
    finally:
        machine.exec("rm /tmp/compared")
    assert json.loads(json.dumps(python)) == command_line == wire
    assert python["differing_pages"] >= 64


def test_capture_gives_the_same_from_python_from_the_command_line_and_over_the_wire(machine, tmp_path):
    with machine.paused():
        python = json.loads(msgspec.json.encode(machine.client.capture(str(tmp_path / "a"))))
        command_line = json.loads(glassbox("capture", machine.name, "-o", str(tmp_path / "b"), "--json").stdout)
        wire = over_the_wire(machine, "capture", output=str(tmp_path / "c"))
    varying = ("taken_at",)
    assert [{key: value for key, value in each.items() if key not in varying} for each in (command_line, wire)] == [
        {key: value for key, value in python.items() if key not in varying}
    ] * 2


def test_a_machine_that_ends_takes_its_jobs_with_it(image, tmp_path):
    with booted("brief", image) as brief:
        client = capturing(brief, tmp_path / "late")
        wait_until(lambda: job_processes(brief) or client.poll() is not None)
        jobs = job_processes(brief)
        brief.client.stop()
        client.wait(60)
        wait_until(lambda: not [pid for pid in jobs if Path(f"/proc/{pid}/exe").exists()])


@pytest.mark.parametrize("output", ["relative", "", "./x", "/tmp/a\0b"])
def test_a_path_that_is_not_absolute_is_refused(machine, output):
    with pytest.raises(UsageError, match="no absolute path"):
        machine.client.capture(output)
    with pytest.raises(UsageError, match="no absolute path"):
        machine.client.snap(SnapOptions(output))
    with pytest.raises(UsageError, match="no absolute path"):
        machine.client.trace_top(output)


def test_a_recording_of_the_daemons_needs_an_end(machine, tmp_path):
    with pytest.raises(UsageError, match="needs an end"):
        machine.client.trace_record(str(tmp_path / "endless.gbt"))


def test_a_recording_keeps_its_index_when_the_machine_ends(image, tmp_path):
    path = tmp_path / "late.gbt"
    with booted("brief", image) as brief:

        def record():
            # The daemon may end before its reply is sent.
            with contextlib.suppress(MachineGoneError):
                brief.client.trace_record(str(path), RecordOptions(seconds=600.0))

        thread = threading.Thread(target=record)
        thread.start()
        wait_until(lambda: brief.client.trace_status().state in ("armed", "waiting"))
        brief.exec("true")
        with Client.connect("brief") as other:
            other.stop()
        thread.join(60)
    with TraceReader(path) as trace:
        assert trace.info.is_complete and trace.info.instructions > 0


def test_a_video_that_is_killed_leaves_no_half_file(machine, tmp_path):
    failed = []

    def record():
        try:
            machine.client.record_video(VideoOptions(str(tmp_path / "x.mp4"), 160, 90, fps=5, seconds=100))
        except MachineError as error:
            failed.append(str(error))

    thread = threading.Thread(target=record)
    thread.start()
    wait_until(lambda: list(tmp_path.glob(".x.mp4.*.partial")))
    (pid,) = {int(path.name.split(".")[3]) for path in tmp_path.glob(".x.mp4.*.partial")}
    os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert "was killed" in failed[0] and list(tmp_path.iterdir()) == []


def test_what_a_client_asks_while_a_job_holds_the_guest_comes_afterwards(machine, tmp_path):
    thread = threading.Thread(target=machine.client.capture, args=(str(tmp_path / "one"),))
    thread.start()
    wait_until(lambda: machine.client.status().runstate is Runstate.PAUSED or not thread.is_alive())
    machine.client.resume()
    machine.client.pause()
    thread.join(60)
    try:
        assert machine.client.status().runstate is Runstate.PAUSED
    finally:
        machine.client.resume()
