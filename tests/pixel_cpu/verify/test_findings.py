"""Findings, and the launch of an example."""

from __future__ import annotations

import numpy as np

from pixel_cpu.verify.findings import Example


def test_a_launch_leaves_the_example_as_it_is():
    example = Example(4, 2, {"n": 3}, {"x": np.arange(3, dtype=np.uint32)})
    launch = example.launch(fuel=7)
    launch.buffers["x"][:] = 9
    assert (launch.lanes, launch.group, launch.fuel, dict(launch.scalars)) == (4, 2, 7, {"n": 3})
    assert example.buffers["x"].tolist() == [0, 1, 2]
