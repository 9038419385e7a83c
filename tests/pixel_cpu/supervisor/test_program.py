"""A program in lanes, from its options."""

from __future__ import annotations

import pytest
from gpu_lanes import MANY, in_wasmtime

import pixel_cpu as px
from pixel_cpu.errors import UsageError


def test_what_is_given_is_one_for_all_lanes_or_one_for_each():
    shared = px.processes(MANY, 2, arguments=["many", "in"], stdin=b"text\n")
    own = px.processes(
        MANY, arguments=[["many", "in"], ["many", "env", "A"]], stdin=[b"one", b"two"], environment=[{}, {"A": "x"}]
    )
    for found in (shared, own):
        found.run()
    assert [shared.output(lane)[0] for lane in range(2)] == [b"text\n"] * 2
    assert [own.output(lane)[0] for lane in range(2)] == [b"one", b"x\n"]
    assert in_wasmtime(["in"], stdin=b"one").stdout == b"one"


def test_without_anything_it_is_one_lane():
    found = px.processes(MANY)
    found.run()
    assert found.lanes == 1 and found.table()["exit_code"].tolist() == [0]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"lanes": 0}, "give one at least"),
        ({"lanes": 3, "arguments": [["a"], ["b"]]}, "2 arguments for 3 lanes"),
        ({"lanes": 3, "stdin": [b""]}, "1 inputs for 3 lanes"),
        ({"lanes": 3, "environment": [{}]}, "1 environments for 3 lanes"),
    ],
)
def test_another_number_of_them_is_refused(given, what):
    with pytest.raises(UsageError, match=what):
        px.processes(MANY, **given)


def test_a_module_without_a_start_is_no_program():
    with pytest.raises(UsageError, match="exports no _start"):
        px.processes(b"\0asm\1\0\0\0")
