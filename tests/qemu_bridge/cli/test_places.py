"""Verbs about places: identify, resolve, targets, their older names, and how a place is put in words."""

from __future__ import annotations

import json

import pytest

from qemu_bridge.cli.options import format_table
from qemu_bridge.cli.places import describe_memory, describe_place
from qemu_bridge.wire.records import (
    Owner,
    Place,
    PlaceMapping,
    SlabObject,
    Symbol,
    TargetMemory,
    TargetRange,
)

PAGE = 4096


def test_facts_that_do_not_apply_have_no_line():
    place = Place(PAGE, PAGE, 1, None, None, False, "free", order=3, grade="paused", generation=7)
    lines = list(describe_place(place))
    assert [line.split()[0] for line in lines] == ["physical", "class", "moment"]
    assert "order 3: 8 pages" in lines[1] and "never touched" in lines[1]
    assert lines[2].endswith("paused, page map 7")


def test_every_fact_of_a_place_has_its_line():
    place = Place(
        *(PAGE, PAGE, 1, 0x7F00_0000_0000, 0xFFFF_8880_0000_1000, True, "slab"),
        owners=(Owner(1, 12, "sh"), Owner(2, 0, "slab", "slab", "of kernel")),
        mappings=(PlaceMapping(12, "sh", 0x5000, 0x4000, 0x6000, "rw-p", "heap"),),
        symbol=Symbol("init_task", 0x1000, "D", 0x10, "fat"),
        slab=SlabObject("dentry", PAGE, 192, 3, 8),
        file="/bin/\x1bsh",
        file_offset=0x2000,
        table_level=2,
    )
    lines = list(describe_place(place))
    text = "\n".join(lines)
    assert [line.split()[0] for line in lines].count("owner") == 2 and "process 12 sh" in text
    for words in (
        "0x7f0000000000",
        "slab (level 2)",
        "slab (of kernel)",
        "init_task+0x10 [fat] (D)",
        "dentry #3 at 0x1000, 192 bytes, +0x8",
        "/bin/?sh +0x2000",
        "pid 12 sh: 0x5000 in 0x4000-0x6000 rw-p heap",
    ):
        assert words in text


def test_memory_is_a_row_a_range_and_of_pages_with_owners():
    memory = TargetMemory((TargetRange(PAGE, PAGE, 2 * PAGE, "free", "nobody"),), 2 * PAGE)
    plain, by_page = (format_table(*describe_memory(memory, each)) for each in (False, True))
    assert plain[0].split() == ["FIRST", "LAST", "SIZE", "CLASS"]
    assert plain[1].split() == ["0x000000001000", "0x000000002fff", "8", "KiB", "free"]
    assert by_page[0].split()[-1] == "OWNER" and by_page[1].split()[-1] == "nobody"


@pytest.mark.guest
def test_a_byte_of_the_kernel_is_named(machine, command):
    shown = command("identify", machine.name, "init_task+0x10")
    place = json.loads(command("identify", machine.name, "init_task+0x10", "--json").out)
    assert shown.status == 0 and "init_task+0x10" in shown.out and place["physical"] in shown.out
    assert place["symbol"]["name"] == "init_task" and place["symbol"]["offset"] == 0x10


@pytest.mark.guest
def test_a_virtual_address_is_that_of_the_process_that_is_named(machine, command):
    area = machine.client.maps(1)[0]
    place = json.loads(command("identify", machine.name, hex(area.start), "--pid", "1", "--json").out)
    assert int(place["virtual"], 16) == area.start and 1 in [row["pid"] for row in place["mappings"]]


@pytest.mark.guest
def test_a_target_is_its_ranges_and_how_much_they_are_is_said(machine, command):
    shown, memory = (command("resolve", machine.name, "pid:1/heap", *more) for more in ((), ("--json",)))
    found = json.loads(memory.out)
    assert (shown.status, memory.status) == (0, 0) and found["total_bytes"] == sum(r["size"] for r in found["ranges"])
    assert len(shown.out.splitlines()) == 1 + len(found["ranges"])
    assert f"{found['total_bytes'] >> 10} KiB in " in shown.err and not memory.err
    pages = command("resolve", machine.name, "pid:1/heap", "--pages")
    assert len(pages.out.splitlines()) == 1 + found["total_bytes"] // PAGE and "OWNER" in pages.out.splitlines()[0]


@pytest.mark.guest
def test_memory_that_is_nowhere_ends_with_status_1_and_a_wrong_target_with_2(machine, command):
    assert command("resolve", machine.name, "pid:1/stack & pid:1/heap").status == 1
    wrong = command("resolve", machine.name, "pid:99999")
    assert wrong.status == 2 and not wrong.out and wrong.err.count("\n") == 1


@pytest.mark.guest
def test_targets_complete_a_beginning(machine, command):
    shown = command("targets", machine.name, "pid:1/")
    assert shown.status == 0 and "pid:1/heap" in shown.out.splitlines()
    assert json.loads(command("targets", machine.name, "pid:1/", "--json").out) == shown.out.splitlines()
    assert command("targets", machine.name, "no-such-kind:x").out == ""


@pytest.mark.guest
@pytest.mark.parametrize(
    ("older", "newer", "words"), [("whose", "identify", "init_task"), ("where", "resolve", "sym:init_task")]
)
def test_an_older_name_does_what_the_newer_does(older, newer, words, machine, command):
    with machine.paused():
        before, now = (command(verb, machine.name, words, "--json") for verb in (older, newer))
    assert before.status == now.status == 0

    def steady(answer):
        return {name: value for name, value in json.loads(answer.out).items() if name != "generation"}

    assert steady(before) == steady(now)


@pytest.mark.parametrize(("older", "newer"), [("whose", "identify"), ("where", "resolve")])
def test_help_names_the_older_name_as_one(older, newer, command):
    overall, own, by_older = command("--help"), command(newer, "--help"), command(older, "--help")
    assert f"Older name: {older}." in " ".join(overall.out.split()) and f"  {older} " not in overall.out
    assert own.status == by_older.status == 0 and own.out.partition("\n")[2] == by_older.out.partition("\n")[2]
    assert f"Older name: {older}." in own.out


@pytest.mark.guest
def test_only_how_much_a_target_is(machine, command):
    with machine.paused():
        shown, found = (command("resolve", machine.name, "pid:1/heap", "--total", *more) for more in ((), ("--json",)))
    total = json.loads(found.out)
    assert shown.out.startswith(f"{total['total_bytes']} bytes (") and total["pages"] == total["total_bytes"] // PAGE


@pytest.mark.guest
def test_memory_is_summed_up_by_class(machine, command):
    with machine.paused():
        classes = json.loads(command("resolve", machine.name, "all", "--by-class", "--json").out)
        total = json.loads(command("resolve", machine.name, "all", "--total", "--json").out)["total_bytes"]
        free = json.loads(command("resolve", machine.name, "free", "--total", "--json").out)["total_bytes"]
    sizes = {row["page_class"]: row["size"] for row in classes}
    assert sum(sizes.values()) == total and list(sizes.values()) == sorted(sizes.values(), reverse=True)
    assert sizes["free"] == free
    shown = command("resolve", machine.name, "all", "--by-class").out.splitlines()
    assert shown[0].split() == ["SIZE", "SHARE", "CLASS"] and len(shown) == 1 + len(sizes)
