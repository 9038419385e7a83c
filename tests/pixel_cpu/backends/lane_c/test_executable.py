"""Launches."""

from __future__ import annotations

import ctypes
import os
import threading
import time

import numpy as np
import pytest
from lane_kernels import COLLATZ, REVERSE, SAXPY, module, saxpy_launch
from programs import compare, copy_of

from pixel_cpu.backends.lane_c import compile_kernel, compile_kernels, describe
from pixel_cpu.backends.lane_c.compiler import load
from pixel_cpu.backends.lane_c.executable import _batches
from pixel_cpu.backends.lane_c.kernel import LaunchRecord
from pixel_cpu.backends.lane_c.source import Part, prelude
from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.reference import Executor

LANES = 200_000
"""Enough for all threads."""


def test_the_variant_is_named():
    assert compile_kernel(module(SAXPY), "main", scalar=True, level="-O1").backend == "lane-c scalar"
    assert compile_kernel(module(SAXPY), "main", scalar=False, registers=2, level="-O1").backend.endswith("x2")
    assert "lanes in a vector" in describe()


def test_kernels_compiled_together_are_what_they_are_alone():
    x, y = np.arange(100, dtype=np.uint32), np.zeros(100, np.uint32)
    launches = {SAXPY: saxpy_launch(100, 100), REVERSE: Launch(100, 64, {}, {"x": x, "y": y})}
    launches[COLLATZ] = Launch(100, 64, {}, {"y": y})
    kernels = compile_kernels([(module(text), "main") for text in launches], registers=1, level="-O0")
    assert len({kernel.source for kernel in kernels}) == 1
    for (text, launch), kernel in zip(launches.items(), kernels, strict=True):
        compare(lambda *_, kernel=kernel: kernel, module(text), launch)


def test_a_batch_of_kernels_is_compiled_without_hurry():
    parts = [Part(8, 1, {}, "x" * size) for size in (30_000, 30_000, 200_000, 10, 10)] + [Part(1, 1, {}, "x")]
    assert list(_batches(parts)) == [[0], [1], [2], [3, 4], [5]]
    assert not compile_kernels([])


def test_the_record_of_a_launch_is_that_of_the_header():
    names = [name for name, *_ in LaunchRecord._fields_]
    places = ", ".join(f"__builtin_offsetof(gb_launch, {name})" for name in names)
    text = f"#define W 1\n#define R 1\n{prelude()}\nconst uint64_t places[] = {{{places}, sizeof(gb_launch)}};\n"
    found = (ctypes.c_uint64 * (len(names) + 1)).in_dll(load(text, "-O1"), "places")
    assert list(found) == [getattr(LaunchRecord, name).offset for name in names] + [ctypes.sizeof(LaunchRecord)]


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize("text", [COLLATZ, REVERSE, SAXPY])
def test_a_launch_is_counted_as_the_reference_does(text, scalar):
    found, reference = (make_counted(text, scalar), Executor(module(text), "main"))
    buffers = {memory.name: np.arange(40).astype(memory.element.dtype) for memory in reference.kernel.buffers}
    # One group of one chunk, so that what is counted by group agrees as well; two lanes trap.
    launch = Launch(10, 16, dict.fromkeys((value.name for value in reference.kernel.parameters), 0.5), buffers)
    launch.buffers["y"] = launch.buffers["y"][:8]
    ours, theirs = (kernel.run(copy_of(launch)).counters for kernel in (found, reference))
    for name in ("instructions", "loads", "stores", "bytes_loaded", "bytes_stored"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if not scalar:
        assert (ours.branches, ours.divergent, ours.barriers) == (theirs.branches, theirs.divergent, theirs.barriers)
        assert 0 < ours.utilisation < 1
    else:
        assert ours.utilisation == 1


def make_counted(text, scalar):
    return compile_kernel(module(text), "main", scalar=scalar, registers=2, counts=True, level="-O1")


def test_many_threads_launch_at_once():
    kernel = compile_kernel(module(COLLATZ), "main", level="-O1")
    wanted = np.zeros(LANES, np.uint32)
    kernel.run(Launch(LANES, 64, {}, {"y": wanted}))
    arrays = [np.zeros(LANES, np.uint32) for _ in range(4)]

    def launch(array):
        for _ in range(3):
            kernel.run(Launch(LANES, 64, {}, {"y": array}))

    threads = [threading.Thread(target=launch, args=[array]) for array in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((array == wanted).all() for array in arrays)


def test_a_forked_child_launches():
    kernel = compile_kernel(module(COLLATZ), "main", level="-O1")
    y, again = np.zeros(LANES, np.uint32), np.zeros(LANES, np.uint32)
    kernel.run(Launch(LANES, 64, {}, {"y": y}))
    child = os.fork()
    if child == 0:
        try:
            kernel.run(Launch(LANES, 64, {}, {"y": again}))
            os._exit(0 if (again == y).all() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_small_launch_costs_little():
    kernel = compile_kernel(module(SAXPY), "main")
    launch = saxpy_launch(100, 100)
    kernel.run(launch)
    begun = time.process_time()
    for _ in range(200):
        kernel.run(launch)
    assert (time.process_time() - begun) / 200 < 0.0005
