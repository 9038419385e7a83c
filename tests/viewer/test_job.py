"""One operation for another program: JSON in, JSON out, whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import pytest
from PIL import Image
from support import glassbox

from qemu_bridge.wire.operations import Operations
from qemu_bridge.wire.picture_records import SnapOptions, VideoOptions
from viewer.picture.snap import snap_machine
from viewer.picture.video import record_machine


def run(operation, request):
    command = [sys.executable, "-m", "viewer", "job", operation]
    ended = subprocess.run(
        command, input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=120, check=False
    )
    return ended, [json.loads(line) for line in ended.stdout.splitlines()]


def test_as_a_process_it_writes_json_and_nothing_else(tmp_path):
    options = {"output": str(tmp_path / "x.png")}
    ended, lines = run("snap", {"name": "no-such-machine", "options": {"options": options}})
    assert ended.returncode == 2 and len(lines) == 1
    assert lines[0]["kind"] == "UnknownMachineError" and "no-such-machine" in lines[0]["message"]


@pytest.mark.guest
def test_python_the_command_line_and_a_job_draw_the_same(machine, tmp_path):
    view = "yaw=35,pitch=24,distance=2"
    with machine.paused():
        options = SnapOptions(str(tmp_path / "python.png"), 320, 200, view)
        results = [msgspec.to_builtins(snap_machine(machine.name, options))]
        words = ["snap", machine.name, "-o", str(tmp_path / "cli.png"), "--size", "320x200", "--at", view, "--json"]
        results.append(json.loads(glassbox(*words).stdout))
        wanted = {**msgspec.to_builtins(options), "output": str(tmp_path / "wire.png")}
        told = []
        with machine.client.progress(lambda *now: told.append(now)):
            results.append(msgspec.to_builtins(machine.client.call(Operations.snap, {"options": wanted})))
    assert told[0][0] == 1 and told[-1][0] == told[-1][1]
    for result, name in zip(results, ("python", "cli", "wire"), strict=True):
        assert result.pop("path") == str(tmp_path / f"{name}.png") and result.pop("elapsed_s") > 0
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (320, 200)
    assert results[0] == results[1] == results[2]


@pytest.mark.guest
@pytest.mark.long
def test_python_the_command_line_and_the_wire_record_the_same_video(machine, tmp_path):
    options = VideoOptions(str(tmp_path / "python.mp4"), 160, 90, 5, "1 hold")
    script = tmp_path / "script"
    script.write_text("1 hold\n")
    with machine.paused():
        results = [msgspec.to_builtins(record_machine(machine.name, options))]
        words = ["record-video", machine.name, "-o", str(tmp_path / "cli.mp4"), "--size", "160x90", "--fps", "5"]
        results.append(json.loads(glassbox(*words, "--script", str(script), "--json").stdout))
        wanted = msgspec.structs.replace(options, output=str(tmp_path / "wire.mp4"))
        told = []
        with machine.client.progress(lambda *now: told.append(now)):
            results.append(msgspec.to_builtins(machine.client.record_video(wanted)))
    assert [done for done, _ in told] == [1, 2, 3, 4, 5]
    for result, name in zip(results, ("python", "cli", "wire"), strict=True):
        assert result.pop("path") == str(tmp_path / f"{name}.mp4") and result.pop("elapsed_s") > 0
    assert results[0] == results[1] == results[2] and results[0]["frames"] == 5
