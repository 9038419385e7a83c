"""Launches."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
from lane_kernels import COLLATZ, SAXPY, module, saxpy_launch

from pixel_cpu.backends.lane_c import compile_kernel, describe
from pixel_cpu.backends.lane_c.executable import LaunchRecord
from pixel_cpu.backends.lane_c.source import prelude
from pixel_cpu.backends.launch import Launch

LANES = 200_000
"""Enough for all threads."""


def test_the_variant_is_named():
    assert compile_kernel(module(SAXPY), "main", scalar=True, level="-O1").backend == "lane-c scalar"
    assert compile_kernel(module(SAXPY), "main", scalar=False, registers=2, level="-O1").backend.endswith("x2")
    assert "lanes in a vector" in describe()


def test_the_record_of_a_launch_is_that_of_the_header():
    text = prelude().partition("typedef struct gb_launch {")[2].partition("} gb_launch;")[0]
    words = text.replace("(*host)", " host ").replace(";", " ").replace(",", " ").replace("*", " ").split()
    places = [words.index(name) for name, *_ in LaunchRecord._fields_]
    assert places == sorted(places)


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
