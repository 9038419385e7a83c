"""``glassbox gpu watch``: launches of other programs, as they end."""

import json
import subprocess
import sys
import tempfile

import numpy as np
from support import glassbox, wait_until

from pixel_cpu.backends.launch import Counters
from pixel_cpu.kernels import source
from pixel_cpu.runtime.events import LaunchEvent
from qemu_bridge.cli.gpu_watch import describe
from qemu_bridge.host.folders import runtime_folder


def test_launches_are_printed_as_they_end(tmp_path, monkeypatch):
    runtime = tempfile.TemporaryDirectory(prefix="gb-")  # a short one, as a socket's path is limited
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime.name)
    (tmp_path / "saxpy.gpk").write_text(source("saxpy"))
    np.save(tmp_path / "x.npy", np.ones(100, "f4"))
    command = [sys.executable, "-m", "qemu_bridge.cli", "gpu", "watch", "--count", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        try:
            assert "waiting for launches" in watch.stderr.readline()
            folder = runtime_folder() / "launches"
            wait_until(lambda: [path for path in folder.iterdir() if not path.name.startswith(".")])
            words = ["--set", "a=2", "--in", f"x={tmp_path / 'x.npy'}", "--new", "y=100", "--device", "reference"]
            assert glassbox("gpu", "run", str(tmp_path / "saxpy.gpk"), *words).returncode == 0
            found = json.loads(watch.stdout.readline())
            assert watch.wait(timeout=120) == 0
        finally:
            watch.kill()
    assert (found["kernel"], found["backend"], found["lanes"]) == ("saxpy", "reference", 100)
    assert {buffer["name"] for buffer in found["buffers"]} == {"x", "y"} and found["counters"]["stores"] == 100
    assert list(folder.iterdir()) == []
    runtime.cleanup()


def test_a_launch_is_a_line():
    about = (1, "p", 1, "cpu", "k", 64, 32, 0.0, {}, ())
    assert describe(LaunchEvent(*about, backend="lanes", seconds=0.002, traps=3)) == (
        "k on lanes: 64 lanes in groups of 32, 2.000 ms, 3 lanes trapped"
    )
    counters = Counters(instructions=6, slots=8, branches=4, divergent=1)
    assert describe(LaunchEvent(*about, backend="lanes", seconds=1.0, counters=counters)).endswith(
        "1000.000 ms, 25.0% of branches diverged, 75.0% of lanes in use"
    )
    assert describe(LaunchEvent(*about, error="not done")) == "k on cpu: 64 lanes in groups of 32, failed: not done"
