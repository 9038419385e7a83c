"""Loaded modules, against /proc/modules."""

from __future__ import annotations

import pytest
from overlay_checks import look

from qemu_bridge.wire.records import Module

pytestmark = pytest.mark.guest


@pytest.mark.usefixtures("with_modules")
def test_modules_are_those_of_proc(each_machine, context):
    def parse(text):
        lines = [line.split() for line in text.splitlines()]
        return {line[0]: (int(line[1]), line[3], line[4], int(line[5], 16)) for line in lines}

    steady, rows = look(each_machine, context, "modules", "cat /proc/modules", parse)
    found = {
        row["name"]: (row["size"], "".join(f"{user}," for user in row["used_by"]) or "-", row["state"], row["base"])
        for row in rows
    }
    assert len(steady) == 4 and found == steady


def modules_line(module: Module) -> str:
    """The record as ``/proc/modules`` prints it, but for the reference count."""
    users = "".join(f"{name}," for name in module.used_by) or "-"
    return f"{module.name} {module.size} {users} {module.state} {module.base:#018x}"


def test_modules_equal_proc(machine):
    inside = machine.exec("cat /proc/modules; true").decode().splitlines()
    with machine.paused():
        outside = machine.modules()
    expected = []
    for line in inside:
        name, size, _, users, state, base = line.split()[:6]
        expected.append(f"{name} {size} {users} {state} {base}")
    assert [modules_line(module) for module in outside] == expected
