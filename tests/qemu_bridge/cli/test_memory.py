"""Verbs that read RAM in place: peek, find, dirty."""

import json
import os
import subprocess
import sys

import pytest
from support import glassbox

from qemu_bridge.cli.memory import hex_dump
from qemu_bridge.memory.addresses import PhysicalAddress

guest = pytest.mark.guest


def test_a_dump_has_an_address_two_groups_and_the_text_on_each_line():
    first, last = hex_dump(0x1000, bytes(range(0x3F, 0x4F)) + b"\x00~\x7f")
    assert first == "0x000000001000  3f 40 41 42 43 44 45 46  47 48 49 4a 4b 4c 4d 4e  |?@ABCDEFGHIJKLMN|"
    assert (
        last.startswith("0x000000001010  00 7e 7f ")
        and last.endswith("  |.~.|")
        and last.index("|") == first.index("|")
    )
    assert list(hex_dump(0, b"")) == []


@guest
def test_peek_shows_what_ram_holds(machine):
    physical = 0x1000000
    row = glassbox("peek", machine.name, hex(physical), "16").stdout
    content = machine.ram.read(PhysicalAddress(physical), 16)
    assert row.startswith(f"{physical:#014x}") and content[:8].hex(" ") in row
    raw = subprocess.run(
        [sys.executable, "-m", "qemu_bridge.cli", "peek", machine.name, "16M", "4K", "--raw"],
        capture_output=True,
        check=True,
    )
    assert raw.stdout == machine.ram.read(PhysicalAddress(physical), 4096)
    assert json.loads(glassbox("peek", machine.name, "0x1000000", "4", "--json").stdout)["hex"] == content[:4].hex()


@guest
def test_peek_reads_symbols_and_virtual_addresses(machine):
    symbol = machine.client.sym("linux_banner").value[0]
    at_symbol = glassbox("peek", machine.name, "linux_banner", "16").stdout
    assert (
        at_symbol == glassbox("peek", machine.name, f"va:{symbol.address:#x}", "16").stdout
        and "Linux version" in at_symbol
    )
    area = next(row for row in machine.client.maps(1).value if row.permissions.startswith("r") and row.path)
    (content,) = machine.client.read_memory(((area.start, 4),), "virtual", 1).value
    shown = json.loads(glassbox("peek", machine.name, f"va:{area.start:#x}@pid:1", "4", "--json").stdout)
    assert shown == {"virtual": hex(area.start), "length": 4, "hex": content.hex()} and content == b"\x7fELF"


@guest
@pytest.mark.parametrize(
    "place", ["va:0x10@pid:1", "no_such_symbol", "0xfffffffff", "0x" + "f" * 30, "nonsense", "128M"]
)
def test_peek_outside_ram_is_one_line(machine, place):
    answer = glassbox("peek", machine.name, place)
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1


@guest
def test_find_finds_what_the_guest_wrote(machine):
    machine.exec("echo glassbox-was-'here' > /tmp/mark")
    answer = glassbox("find", machine.name, "glassbox-was-here", "--json")
    assert answer.returncode == 0
    for row in json.loads(answer.stdout):
        assert machine.ram.read(PhysicalAddress(int(row["physical"], 16)), 17) == b"glassbox-was-here"
    shown = glassbox("find", machine.name, "--regex", "glassbox-was-h[e]re", "--limit", "1")
    assert "glassbox-was-here" in shown.stdout and "--limit" in shown.stderr
    assert glassbox("find", machine.name, "--hex", "zz").returncode == 2
    assert glassbox("find", machine.name, "--regex", "(").returncode == 2
    machine.exec("rm /tmp/mark")


@guest
def test_find_of_nothing_ends_with_status_1(machine):
    answer = glassbox("find", machine.name, "--hex", os.urandom(16).hex())
    assert (answer.returncode, answer.stdout) == (1, "")


@guest
def test_dirty_lists_what_was_written_since(machine):
    epoch = json.loads(glassbox("dirty", machine.name, "--json").stdout)["epoch"]
    machine.exec("echo this-is-new-here > /tmp/new")
    later = json.loads(glassbox("dirty", machine.name, "--since", str(epoch), "--json").stdout)
    assert later["epoch"] > epoch
    written = [machine.ram.layout.to_physical(offset) for offset in machine.ram.find(b"this-is-new-here\n")]
    ranges = [(int(start, 16), size) for start, size in later["ranges"]]
    assert written and all(any(start <= place < start + size for start, size in ranges) for place in written)
    machine.exec("rm /tmp/new")


@guest
def test_limits_and_epochs_that_make_no_sense_are_wrong_usage(machine, command):
    for words in (
        ("find", machine.name, "x", "--limit", "0"),
        ("dirty", machine.name, "--since", "-1"),
        ("dirty", machine.name, "--since", "999999"),
    ):
        answer = command(*words)
        assert answer.status == 2 and not answer.out and answer.err.count("\n") == 1


@guest
def test_a_table_of_changes_ends_with_the_epoch_to_ask_with(machine, command):
    shown = command("dirty", machine.name)
    assert shown.status == 0 and all(line.startswith("0x") and line.endswith(" KiB") for line in shown.out.splitlines())
    epoch = shown.err.split()[-1]
    total = sum(int(line.split()[1]) for line in shown.out.splitlines())
    assert f"{total} KiB in {len(shown.out.splitlines())} ranges" in shown.err
    assert command("dirty", machine.name, "--since", epoch).status == 0
