"""A worker keeps its limits: memory, processors, and its parent's life."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import is_running, wait_until

import pixel_cpu
from pixel_cpu.errors import LimitError

ONE = "kernel one() {\n buffer @y: u32\n %i = global_id : u32\n store @y %i, %i trap\n return\n}"


def test_a_worker_runs_on_the_processors_it_is_given():
    cpu = min(os.sched_getaffinity(0))
    with pixel_cpu.Device("reference", cpus=(cpu,)) as device:
        pixel_cpu.loads(ONE, language="ir").kernel().launch(4, y=np.zeros(4, "u4"), device=device)
        assert os.sched_getaffinity(device.worker_pid) == {cpu}


def test_a_launch_that_takes_too_much_memory_ends_with_a_sentence():
    # 2^24 lanes in step need arrays of their own, far beyond twice 16 MiB.
    with pixel_cpu.Device("reference", memory=16 << 20) as device:
        kernel = pixel_cpu.loads(ONE, language="ir").kernel()
        with pytest.raises(LimitError, match="memory"):
            kernel.launch(1 << 24, y=device.zeros(4, "u4"), device=device, raise_traps=False)


SLOW_COMPILER = """#!/bin/sh
sleep 300 &
echo $! >{file}.new; mv {file}.new {file}
wait
"""


def test_a_compiler_that_takes_too_long_ends_with_all_its_children(tmp_path, monkeypatch):
    (tmp_path / "cc").write_text(SLOW_COMPILER.format(file=tmp_path / "pid"))
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernel = pixel_cpu.loads(ONE, language="ir").kernel()
    for seconds in (3, 10, 30, 100):  # the worker starts, and the compiler, within that time too
        monkeypatch.setattr("pixel_cpu.runtime.device.START_SECONDS", seconds)
        with pixel_cpu.Device("cpu") as device, pytest.raises(LimitError, match=f"one: not done within {seconds} s"):
            kernel.launch(4, y=np.zeros(4, "u4"), device=device)
        if (tmp_path / "pid").exists():
            break
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid))


def test_a_worker_dies_with_its_parent():
    program = (
        "import pixel_cpu, numpy as np, sys, time\n"
        f"d = pixel_cpu.Device('reference'); k = pixel_cpu.loads({ONE!r}, language='ir').kernel()\n"
        "k.launch(4, y=np.zeros(4, 'u4'), device=d); print(d.worker_pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_until(lambda: not is_running(pid))
