"""The verb overlay: its table, its list, and overlays of other people that print as they like."""

from __future__ import annotations

import json

import pytest

from qemu_bridge.cli.options import format_table
from qemu_bridge.cli.overlays import format_columns


def test_columns_are_printed_as_they_say():
    rows = [{"address": 4096, "name": "a", "left": None}, {"address": 1 << 40, "name": "b", "left": 3}]
    lines = format_table(*format_columns(rows, ("address:#x", "name", "left:>4")))
    assert [line.split() for line in lines] == [
        ["ADDRESS", "NAME", "LEFT"],
        ["0x1000", "a", "-"],
        ["0x10000000000", "b", "3"],
    ]


@pytest.mark.parametrize("how", ["#x", "no format", "{0.__class__}"])
def test_what_its_format_cannot_print_is_printed_as_it_is(how):
    assert format_table(*format_columns([{"x": "text"}], (f"x:{how}",))) == ["X", "text"]


@pytest.mark.guest
def test_a_table_shows_the_columns_and_json_all_fields(machine, command):
    shown, printed = command("overlay", machine.name, "mounts"), command("overlay", machine.name, "mounts", "--json")
    table = json.loads(printed.out)
    assert (shown.status, printed.status) == (0, 0)
    headings = [column.partition(":")[0].upper().replace("_", " ") for column in table["columns"]]
    assert shown.out.splitlines()[0].split() == " ".join(headings).split()
    assert len(shown.out.splitlines()) == 1 + len(table["rows"]) and "/proc" in shown.out
    assert table["name"] == "mounts" and table["complete"] and not table["skipped"]


@pytest.mark.guest
def test_without_a_name_the_overlays_are_listed(machine, command):
    shown, printed = (
        command("overlay", machine.name),
        json.loads(command("overlay", machine.name, "list", "--json").out),
    )
    names = [row["name"] for row in printed["overlays"]]
    assert {"processes", "mounts", "sockets"} <= set(names) and printed["skipped"] == []
    assert [line.split()[0] for line in shown.out.splitlines()] == ["NAME", *names]


@pytest.mark.guest
def test_an_overlay_that_there_is_not_is_wrong_usage(machine, command):
    answer = command("overlay", machine.name, "no-such-overlay")
    assert answer.status == 2 and not answer.out and answer.err.count("\n") == 1


@pytest.mark.guest
def test_rows_are_chosen_sorted_and_counted(machine, command):
    rows = json.loads(
        command("overlay", machine.name, "processes", "--where", "name=k*", "--sort", "pid", "--reverse", "--json").out
    )["rows"]
    pids = [row["pid"] for row in rows]
    assert len(pids) > 3 and pids == sorted(pids, reverse=True) and all(row["name"].startswith("k") for row in rows)
    assert int(command("overlay", machine.name, "processes", "--where", "name=k*", "--count").out) >= len(pids) - 2
    assert len(command("overlay", machine.name, "processes", "--first", "2").out.splitlines()) == 3
    wrong = command("overlay", machine.name, "processes", "--sort", "nosuch")
    assert wrong.status == 2 and "there are pid" in wrong.err
    assert command("overlay", machine.name, "processes", "--first", "0").status == 2
