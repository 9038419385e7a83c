"""A job speaks lines of JSON on its pipes, whatever its function does."""

import json
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
import msgspec
from qemu_bridge.errors import UsageError
from qemu_bridge.host.job import main

def count(job, request):
    print("a library prints this")
    with job.guest_paused() as was_running:
        job.progress(1, 2)
    return {"name": request.name, "was_running": was_running}

def refuse(job, request):
    raise UsageError("no such thing; try another")

def fail(job, request):
    raise KeyError("lost")

def wait(job, request):
    job.progress(0, 1)
    time.sleep(60)

sys.exit(main({"count": count, "refuse": refuse, "fail": fail, "wait": wait}, msgspec.json.encode))
"""


@pytest.fixture
def start():
    processes = []

    def run(name):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        processes.append(process)
        process.stdin.write(json.dumps({"name": "demo", "options": {}}).encode() + b"\n")
        process.stdin.flush()
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def test_a_job_asks_for_a_pause_tells_how_far_it_is_and_ends_with_its_result(start):
    process = start("count")
    process.stdin.write(b"true\ntrue\n")
    output, log = process.communicate(timeout=120)
    assert [json.loads(line) for line in output.splitlines()] == [
        {"ask": "pause"},
        {"progress": [1, 2]},
        {"ask": "resume"},
        {"ok": True, "result": {"name": "demo", "was_running": True}},
    ]
    assert process.returncode == 0 and b"a library prints this" in log


@pytest.mark.parametrize(
    ("name", "status", "kind", "message"),
    [("refuse", 2, "UsageError", "no such thing; try another"), ("fail", 1, "MachineError", "fail failed (KeyError")],
)
def test_an_error_is_the_last_message(start, name, status, kind, message):
    process = start(name)
    output, _ = process.communicate(timeout=120)
    last = json.loads(output.splitlines()[-1])
    assert (last["ok"], last["kind"]) == (False, kind) and message in last["message"]
    assert process.returncode == status


def test_a_terminated_job_says_that_it_was_cancelled(start):
    process = start("wait")
    assert json.loads(process.stdout.readline()) == {"progress": [0, 1]}
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    last = json.loads(output)
    assert last["kind"] == "JobCancelledError" and "was cancelled" in last["message"] and process.returncode == 130
