"""The jobs' own process, spoken to over its pipes."""

import json
import subprocess
import sys

import pytest

from qemu_bridge.daemon.job_process import JOBS
from qemu_bridge.wire.operations import BY_NAME, Cost


def run(name, *lines):
    done = subprocess.run(
        [sys.executable, "-m", "qemu_bridge.daemon.job_process", name],
        input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_every_job_is_an_operation_of_that_cost():
    assert all(BY_NAME[name].cost is Cost.JOB for name in JOBS)


@pytest.mark.parametrize("name", JOBS)
def test_arguments_are_checked_before_anything_is_done(name):
    status, lines = run(name, {"name": "nobody", "options": {"output": 7, "before": 7, "file": 7}})
    assert status == 2 and lines[-1]["kind"] == "UsageError" and "expected string, got integer" in lines[-1]["message"]


def test_an_unknown_machine_is_said():
    status, lines = run("capture", {"name": "nobody", "options": {"output": "/tmp/never"}})
    assert status == 2 and lines == [{"ok": False, "kind": "UnknownMachineError", "message": lines[0]["message"]}]


@pytest.mark.guest
def test_a_capture_asks_to_pause_and_resume_and_does_neither_itself(machine, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "qemu_bridge.daemon.job_process", "capture"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    asked = []
    with process:
        request = {"name": machine.name, "options": {"output": str(tmp_path / "one")}}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            if "ask" in message:
                asked.append(message["ask"])
                assert machine.client.status().runstate == "running"
                process.stdin.write("false\n")
                process.stdin.flush()
    assert asked == ["pause", "resume"] and message["ok"] and message["result"]["paused_s"] == 0
