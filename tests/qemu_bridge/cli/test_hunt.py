"""The verb hunt: on a guest in which nothing hides, and on a dump in which something does."""

from __future__ import annotations

import json
import typing

import pytest
from edited_guest import EditedGuest
from open_captures import end
from overlay_checks import running
from support import glassbox

from qemu_bridge.machine.launch import dump_name
from qemu_bridge.wire.json_text import decode_json
from qemu_bridge.wire.operations import BY_NAME

pytestmark = pytest.mark.guest


def test_a_guest_in_which_nothing_hides_gives_status_0(machine):
    answer = glassbox("hunt", machine.name, "--json")
    assert (answer.returncode, json.loads(answer.stdout)) == (0, []), answer.stderr


def test_what_hides_in_a_dump_is_told_with_its_evidence(machine, tmp_path):
    with running(machine, "sleep 20000", "sleep") as pid:
        edited = EditedGuest(machine, tmp_path)
    task = edited.task(pid)
    edited.unlink(task.at("tasks"))
    edited.close()
    dump = tmp_path / "guest.ram"
    try:
        told = glassbox("hunt", str(dump))
        rows = glassbox("hunt", str(dump), "--json")
    finally:
        end(dump_name(dump))
    assert told.returncode == rows.returncode == 1
    assert told.stdout.splitlines()[0] == f"hidden-task: sleep (pid {pid})"
    assert "\n  - is not in the list of tasks from init_task on\n" in told.stdout
    (row,) = json.loads(rows.stdout)
    assert row["kind"] == "hidden-task" and row["address"] == f"{task.address:#x}"
    assert decode_json(rows.stdout.encode(), typing.get_args(BY_NAME["hunt"].result)[0])[0].pid == pid
