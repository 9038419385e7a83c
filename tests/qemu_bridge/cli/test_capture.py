"""The verbs capture and compare: tables, exit statuses. What is captured: tests/qemu_bridge/captures."""

from __future__ import annotations

import json

import pytest
from open_captures import let_go
from support import glassbox

guest = pytest.mark.guest


@pytest.fixture(scope="module")
def before(machine, tmp_path_factory):
    """A capture by the verb, and what the verb gave."""
    folder = tmp_path_factory.mktemp("verb") / "before"
    answer = glassbox("capture", machine.name, "-o", str(folder))
    yield folder, answer
    let_go(folder)


@guest
def test_capture_prints_the_folder_and_says_how_long_the_guest_was_stopped(machine, before):
    folder, answer = before
    assert (answer.returncode, answer.stdout) == (0, f"{folder}\n")
    assert f"{machine.ram.size >> 20} MiB of RAM" in answer.stderr and " ms" in answer.stderr
    assert answer.stderr.count("\n") == 1 and "\r" not in answer.stderr


@guest
def test_a_live_capture_says_so(machine, tmp_path):
    answer = glassbox("capture", machine.name, "-o", str(tmp_path / "live"), "--live")
    assert answer.returncode == 0 and "taken live" in answer.stderr


@guest
def test_compare_counts_by_class_and_its_sums_are_those_of_the_ranges(machine, before, command):
    with machine.paused():
        table, ranges, printed = (
            command("compare", before[0], machine.name, *flags) for flags in ((), ("--pages",), ("--pages", "--json"))
        )
    found = json.loads(printed.out)
    assert table.status == ranges.status == printed.status == 1
    heading, *lines = [line for line in table.out.splitlines() if not line.startswith(("appeared: ", "gone: "))]
    assert heading.split() == ["CLASS", "CHANGED", "APPEARED", "GONE"] and len(lines) == len(found["classes"])
    assert sum(int(number) for line in lines for number in line.split()[-3:]) == found["differing_pages"]
    heading, *lines = ranges.out.splitlines()
    assert heading.split() == ["FIRST", "LAST", "PAGES", "CHANGE"] and len(lines) == len(found["ranges"])
    assert sum(int(line.split()[2]) for line in lines) == found["differing_pages"]
    assert f"{found['differing_pages']} of {found['pages']} pages differ" in table.err


@guest
def test_what_does_not_differ_ends_with_status_0(before, command):
    same = command("compare", before[0], before[0])
    assert same.status == 0 and same.out.splitlines() == ["CLASS  CHANGED  APPEARED  GONE"]
    assert command("compare", before[0], "no-such-machine").status == 2


@guest
def test_compare_looks_at_one_target_only(machine, before, command):
    with machine.paused():
        every = json.loads(command("compare", before[0], machine.name, "--json").out)
        stacks = json.loads(command("compare", before[0], machine.name, "--target", "kernel.stack", "--json").out)
    assert {row["page_class"] for row in stacks["classes"]} == {"kernel-stack"}
    assert stacks["differing_pages"] < every["differing_pages"]
    assert not [owner for owner in stacks["owners_appeared"] if owner["kind"] == "file"], "owners are of the target too"
    assert command("compare", before[0], machine.name, "--target", "kernel.nothing").status == 2
