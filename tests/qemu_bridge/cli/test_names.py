"""Verbs that name what is in RAM: ps, maps, modules, sym."""

import json

import pytest
from support import glassbox

from qemu_bridge.cli.names import PROCESS_COLUMNS, format_mapping
from qemu_bridge.wire.records import MemoryMapping

guest = pytest.mark.guest


def test_an_area_is_a_line_as_the_kernel_prints_it():
    area = MemoryMapping(0x400000, 0x401000, "r-xp", 0x1000, "08:01", 42, "/bin/a b")
    assert format_mapping(area) == "00400000-00401000 r-xp 00001000 08:01 42".ljust(73) + "/bin/a b"
    bare = MemoryMapping(0x7F0000000000, 0x7F0000001000, "rw-p", 0, "00:00", 0, "")
    assert format_mapping(bare) == "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 "


@guest
def test_what_a_process_is_called_does_not_drive_the_terminal(machine):
    machine.exec(
        r"""cp /bin/busybox "$(printf '/tmp/x\033]0;PWN\007')"; ln -sf "$(printf '/tmp/x\033]0;PWN\007')" /tmp/sleep"""
    )
    machine.exec("/tmp/sleep 100 > /dev/null 2>&1 &")
    pid = machine.exec("pidof sleep").split()[0].decode()
    shown = glassbox("maps", machine.name, pid).stdout
    assert "/tmp/x?]0;PWN?" in shown and "\x1b" not in shown
    assert "\\u001b" in glassbox("maps", machine.name, pid, "--json").stdout
    machine.exec(f"kill {pid}; rm /tmp/x* /tmp/sleep")


@guest
def test_ps_is_a_row_a_process_and_json_has_every_field(machine, command):
    with machine.paused():
        shown, rows = command("ps", machine.name), json.loads(command("ps", machine.name, "--json").out)
    heading, *lines = shown.out.splitlines()
    assert heading.split() == " ".join(PROCESS_COLUMNS).upper().replace("_", " ").split()
    assert [int(line.split()[0]) for line in lines] == [row["pid"] for row in rows]
    assert rows[0]["name"] == "init" and {"page_table", *PROCESS_COLUMNS} <= set(rows[0])


@guest
def test_maps_are_the_lines_that_the_guest_itself_prints(machine, command):
    with_spaces = machine.exec("cat /proc/1/maps").decode().splitlines()
    assert command("maps", machine.name, "1").out.splitlines() == with_spaces
    missing = command("maps", machine.name, "99999")
    assert missing.status == 2 and not missing.out and missing.err.count("\n") == 1
    assert command("maps", machine.name, "init").status == 2


@guest
def test_modules_are_those_that_the_guest_lists(machine, command):
    told = {line.split()[0]: line.split() for line in machine.exec("cat /proc/modules").decode().splitlines()}
    heading, *lines = command("modules", machine.name).out.splitlines()
    assert heading.split() == ["NAME", "SIZE", "BASE", "STATE", "USED", "BY"]
    assert {line.split()[0]: line.split()[1:4] for line in lines} == {
        name: [words[1], words[5], words[4]] for name, words in told.items()
    }


@guest
def test_a_symbol_is_found_by_name_and_by_address_in_the_layout_of_kallsyms(machine, command):
    shown = command("sym", machine.name, "init_task")
    address, letter, name = shown.out.split()
    assert (name, letter) == ("init_task", "D") and int(address, 16) == machine.client.sym("init_task")[0].address
    assert command("sym", machine.name, hex(int(address, 16) + 16)).out.split()[-1] == "init_task+0x10"
    row = json.loads(command("sym", machine.name, "init_task", "--json").out)[0]
    assert int(row["address"], 16) == int(address, 16) and row["symbol_type"] == letter


@guest
@pytest.mark.parametrize("word", ["no_such_symbol_at_all", "0x10"])
def test_what_is_no_symbol_is_wrong_usage(word, machine, command):
    answer = command("sym", machine.name, word)
    assert answer.status == 2 and not answer.out and answer.err.count("\n") == 1
