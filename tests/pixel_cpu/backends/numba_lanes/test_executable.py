"""Launches through Numba."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from lane_kernels import COLLATZ, SAXPY, module, saxpy_launch
from programs import compare, copy_of

import pixel_cpu
from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.numba_lanes import compile_kernel, describe, executable
from pixel_cpu.errors import DeviceError, LaunchError
from qemu_bridge.host.folders import cache_folder

LANES = 100_000
"""Enough for all threads."""

PRINTS = """
kernel main(%f: f32) group 8 {
  %i = global_id : u32
  %one = const 1 : u32
  %b = and %i, %one : u32
  %odd = eq %b, %one : bool
  print "first" %i, %odd
  if %odd { print "odd" %f yield } else { yield }
  return
}
"""
NEXT = """
kernel main() group 4 {
  buffer @y: f32
  %i = global_id : u32
  %s = convert %i : f32
  %r = host_call "next" %s : f32
  store @y %i, %r trap
  return
}
"""


def test_it_says_what_runs():
    assert compile_kernel(module(SAXPY), "main").backend == "numba" and "Numba" in describe()


def test_prints_come_in_order_of_lane():
    outcome = compare(compile_kernel, module(PRINTS), Launch(20, 8, {"f": 0.1}))
    assert [line.text for line in outcome.printed[1:4]] == ["first 1 True", "odd 0.10000000149011612", "first 2 False"]
    short = compile_kernel(module(PRINTS), "main").run(Launch(20, 8, {"f": 0.1}, printed_lines=7))
    assert len(short.printed) == 7


def test_the_host_is_called_in_order_of_lane():
    calls = []

    def follow(lane, value):
        calls.append((lane, value))
        return [-value]

    y = np.zeros(10, np.float32)
    kernel = compile_kernel(module(NEXT), "main")
    kernel.run(Launch(10, 4, {}, {"y": y}, host_functions={"next": follow}))
    assert calls == [(lane, lane) for lane in range(10)] and y.tolist() == [-lane for lane in range(10)]

    def fail(lane, value):
        raise KeyError("of the host")

    with pytest.raises(KeyError, match="of the host"):
        kernel.run(Launch(10, 4, {}, {"y": y}, host_functions={"next": fail}))
    with pytest.raises(LaunchError, match="the host's 'next'"):
        kernel.run(Launch(10, 4, {}, {"y": y}))


def test_many_threads_launch_at_once():
    kernel = compile_kernel(module(COLLATZ), "main")
    wanted = np.zeros(LANES, np.uint32)
    kernel.run(Launch(LANES, 64, {}, {"y": wanted}))
    assert wanted[27] == 111 and wanted[-1]
    arrays = [np.zeros(LANES, np.uint32) for _ in range(4)]
    threads = [threading.Thread(target=kernel.run, args=[Launch(LANES, 64, {}, {"y": array})]) for array in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((array == wanted).all() for array in arrays)


def test_traps_of_all_threads_are_counted():
    outcome = compile_kernel(module(SAXPY), "main").run(saxpy_launch(LANES, 100))
    assert (outcome.traps, outcome.trap.lane) == (LANES - 100, 100)


def test_arrays_at_odd_addresses_and_read_only_ones():
    launch = saxpy_launch(33, 33)
    odd = np.zeros(4 * 33 + 1, np.uint8)[1:].view(np.float32)
    launch.buffers["x"].flags.writeable = False
    compile_kernel(module(SAXPY), "main").run(replace(launch, buffers=launch.buffers | {"y": odd}))
    assert odd.tolist() == [lane / 2 for lane in range(33)]


def test_a_kernel_is_compiled_once_for_all_processes(tmp_path):
    code = (
        "import sys, numba; sys.path[:0] = ['tests', 'tests/pixel_cpu']\n"
        "from lane_kernels import COLLATZ, module\n"
        "from pixel_cpu.backends.numba_lanes import compile_kernel\n"
        "found = compile_kernel(module(COLLATZ), 'main')\n"
        "print(sum(found._function.stats.cache_hits.values()))"
    )
    hits = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert hits == ["0", "1"]


def test_a_kernel_that_others_can_change_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compile_kernel(module(COLLATZ), "main")
    (kept,) = cache_folder("kernels").glob("numba/*/__pycache__/*.nbi")
    kept.chmod(0o666)
    with pytest.raises(DeviceError, match="other users can change"):
        compile_kernel(module(COLLATZ), "main")


def test_the_cache_keeps_the_kernels_that_were_used_last(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(executable, "MAX_KERNELS", 4)
    root = cache_folder("kernels") / "numba"
    for age in range(4):
        (root / f"old{age}").mkdir(parents=True)
        os.utime(root / f"old{age}", (1000 - age, 1000 - age))
    compile_kernel(module(COLLATZ), "main")
    assert {path.name for path in root.iterdir() if path.name.startswith("old")} == {"old0", "old1"}


def test_a_device_runs_it_in_a_process_of_its_own():
    kernel = pixel_cpu.loads(SAXPY, language="ir").kernel()
    launch = copy_of(saxpy_launch(33, 33))
    with pixel_cpu.Device("numba") as device:
        assert kernel.launch(33, a=0.5, **launch.buffers, device=device).backend == "numba"
    assert launch.buffers["y"].tolist() == [1 + lane / 2 for lane in range(33)]
