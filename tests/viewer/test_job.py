"""One operation for another program: JSON in, JSON out, whatever happens."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys

import pytest
from PIL import Image
from support import glassbox

from qemu_bridge.errors import GlassBoxError, UsageError
from viewer import job
from viewer.picture.snap import SnapOptions, SnapResult, snap_machine
from viewer.picture.video import VideoOptions

RESULT = SnapResult("x.png", 64, 64, "yaw=3", "demo", 0.5)


def lines_of(operation, request, monkeypatch=None, perform=None):
    if perform is not None:
        monkeypatch.setattr(job, "_perform", perform)
    answer = io.StringIO()
    status = job.run_job(operation, io.StringIO(request), answer)
    return status, [json.loads(line) for line in answer.getvalue().splitlines()]


def test_progress_comes_before_the_result(monkeypatch):
    def perform(name, options, progress):
        assert (name, options) == ("demo", SnapOptions("x.png", 64, 64, order=7))
        progress(1, 2)
        progress(2, 2)
        return RESULT

    request = {"name": "demo", "options": {"output": "x.png", "width": 64, "height": 64, "order": 7, "later": 1}}
    status, lines = lines_of("snap", json.dumps(request), monkeypatch, perform)
    assert status == 0
    assert lines == [{"progress": [1, 2]}, {"progress": [2, 2]}, {"ok": True, "result": dataclasses.asdict(RESULT)}]


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (UsageError("no view; write one"), "UsageError", 2),
        (GlassBoxError("no disk; clear it"), "GlassBoxError", 1),
        (ZeroDivisionError("ours"), "GlassBoxError", 1),
        (KeyboardInterrupt(), "GlassBoxError", 130),
    ],
)
def test_an_error_is_the_last_line(monkeypatch, error, kind, status):
    def perform(name, options, progress):
        raise error

    found, lines = lines_of("snap", '{"name": "demo", "options": {"output": "x.png"}}', monkeypatch, perform)
    assert found == status and len(lines) == 1
    assert lines[0]["ok"] is False and lines[0]["kind"] == kind and ";" in lines[0]["message"]


@pytest.mark.parametrize(
    "request_text",
    ["", "[]", "{}", '{"name": "x", "options": {}}', '{"name": "x", "options": {"output": "y", "width": "z"}}', "7"],
)
def test_what_is_no_request_is_the_callers_mistake(request_text):
    status, lines = lines_of("snap", request_text)
    assert status == 2 and lines[-1]["kind"] == "UsageError"


def test_options_are_those_of_the_operation():
    name, options = job.read_request(VideoOptions, '{"name": "demo", "options": {"output": "x.mp4", "fps": 5}}')
    assert (name, options) == ("demo", VideoOptions("x.mp4", fps=5))


def run(operation, request):
    command = [sys.executable, "-m", "viewer", "job", operation]
    ended = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, timeout=120, check=False)
    return ended, [json.loads(line) for line in ended.stdout.splitlines()]


def test_as_a_process_it_writes_json_and_nothing_else(tmp_path):
    options = {"output": str(tmp_path / "x.png")}
    ended, lines = run("snap", {"name": "no-such-machine", "options": options})
    assert ended.returncode == 2 and len(lines) == 1
    assert lines[0]["kind"] == "UnknownMachineError" and "no-such-machine" in lines[0]["message"]


@pytest.mark.guest
def test_python_the_command_line_and_a_job_draw_the_same(machine, tmp_path):
    view = "yaw=35,pitch=24,distance=2"
    with machine.paused():
        options = SnapOptions(str(tmp_path / "python.png"), 320, 200, view)
        results = [dataclasses.asdict(snap_machine(machine.name, options))]
        words = ["snap", machine.name, "-o", str(tmp_path / "cli.png"), "--size", "320x200", "--at", view, "--json"]
        results.append(json.loads(glassbox(*words).stdout))
        wanted = {**dataclasses.asdict(options), "output": str(tmp_path / "job.png")}
        _, lines = run("snap", {"name": machine.name, "options": wanted})
        results.append(lines[-1]["result"])
    assert lines[0]["progress"][0] == 1 and lines[-2]["progress"][0] == lines[-2]["progress"][1]
    for result, name in zip(results, ("python", "cli", "job"), strict=True):
        assert result.pop("path") == str(tmp_path / f"{name}.png") and result.pop("elapsed_s") > 0
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (320, 200)
    assert results[0] == results[1] == results[2]


@pytest.mark.guest
def test_a_video_is_recorded_as_a_job(machine, tmp_path):
    wanted = {"output": str(tmp_path / "x.mp4"), "width": 160, "height": 90, "fps": 5, "script": "1 hold"}
    ended, lines = run("record_video", {"name": machine.name, "options": wanted})
    assert ended.returncode == 0 and [line["progress"][0] for line in lines[:-1]] == [1, 2, 3, 4, 5]
    assert lines[-1]["result"]["frames"] == 5 and lines[-1]["result"]["duration_s"] == 1.0
