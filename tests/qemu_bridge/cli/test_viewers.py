"""The verbs viewers, highlight and fly-to."""

from __future__ import annotations

import json

import pytest
from support import wait_until
from viewer_sessions import opened

pytestmark = pytest.mark.guest


@pytest.fixture
def seen(machine):
    """What a viewer is told."""
    with opened(machine) as (_, events):
        yield events


def test_without_a_viewer_the_list_is_empty_and_the_rest_says_what_to_do(machine, command):
    assert command("viewers", machine.name) == (1, "", "")
    shown = command("highlight", machine.name, "pid:1")
    assert shown.status == 1 and f"glassbox view {machine.name}" in shown.err


def test_viewers_are_listed(machine, seen, command):
    (row,) = json.loads(command("viewers", machine.name, "--json").out)
    assert row["pid"] == 80 and row["done"] == 0
    table = command("viewers", machine.name).out.splitlines()
    assert table[0].split() == ["SESSION", "PID", "OPEN", "S", "VIEW", "PROBLEM"] and table[1].split()[:2] == [
        str(row["session"]),
        "80",
    ]


def test_a_target_is_highlighted_and_how_much_it_is_is_said(machine, seen, command):
    shown = command("highlight", machine.name, "pid:1/heap", "--no-fly")
    assert shown.status == 0 and "pid:1/heap (" in shown.err and "in viewer" in shown.err
    told = json.loads(command("highlight", machine.name, "pid:1/heap", "--json").out)
    assert told["total_bytes"] > 0 and len(told["sessions"]) == 1
    assert command("highlight", machine.name).status == 0
    assert command("highlight", machine.name, "pid:1/stack & pid:1/heap").status == 1
    assert command("highlight", machine.name, "pid:1", "--session", "99999").status == 2
    wait_until(lambda: len(seen) == 4)
    assert [(event.target, event.fly) for event in seen] == [
        ("pid:1/heap", False),
        ("pid:1/heap", True),
        ("", True),
        ("pid:1/stack & pid:1/heap", True),
    ]


def test_a_camera_flies_to_a_symbol_a_target_and_a_view(machine, seen, command):
    refused = command("fly-to", machine.name, "yaw=35,moed=entropy")
    assert refused.status == 2 and "'moed=entropy' is not part of a view; write" in refused.err
    for place in ("init_task", "file:/bin/busybox", "yaw=35,mode=entropy"):
        assert command("fly-to", machine.name, place).status == 0
    wait_until(lambda: len(seen) == 3)
    assert [event.view for event in seen] == ["", "", "yaw=35,mode=entropy"]
    assert seen[0].place is not None and seen[1].target == "file:/bin/busybox"
