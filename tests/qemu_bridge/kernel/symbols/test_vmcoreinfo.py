"""The VMCOREINFO note: found among decoys, distrusted throughout."""

from __future__ import annotations

import struct

import pytest
from memory_samples import Memory, vmcoreinfo_note

from qemu_bridge.errors import NotBootedError
from qemu_bridge.kernel.symbols.vmcoreinfo import find_vmcoreinfo, iter_vmcoreinfo, parse_note, read_note
from qemu_bridge.memory.addresses import PhysicalAddress, RamLayout
from qemu_bridge.memory.ram import GuestRam

VALUES = {
    "OSRELEASE": "6.1.0-56-cloud-amd64",
    "BUILD-ID": "3b43fad5034874490492495d552c0af6a5fab235",
    "PAGESIZE": 4096,
    "SYMBOL(_stext)": "ffffffffa3000000",
    "NUMBER(phys_base)": -457179136,
    "KERNELOFFSET": "22000000",
}


def test_a_note_tells_release_symbols_numbers_and_offset():
    info = parse_note(vmcoreinfo_note(VALUES), PhysicalAddress(0))
    assert info.release == "6.1.0-56-cloud-amd64" and info.build_id == VALUES["BUILD-ID"]
    assert info.symbol("_stext") == 0xFFFFFFFFA3000000 and info.kernel_offset == 0x22000000
    assert info.number("phys_base") == -457179136
    assert info.symbol("nowhere") is None and info.number("nothing") is None


def test_a_kernel_without_build_id_is_named_by_what_kaslr_leaves_alone():
    plain = {key: value for key, value in VALUES.items() if key != "BUILD-ID"}
    moved = plain | {"KERNELOFFSET": "0", "SYMBOL(_stext)": "ffffffff81000000"}
    other = plain | {"OSRELEASE": "6.2"}
    names = [parse_note(vmcoreinfo_note(values), PhysicalAddress(0)).build_id for values in (plain, moved, other)]
    assert names[0] == names[1] != names[2] and len(names[0]) == 40


def test_a_build_id_that_is_a_path_is_not_believed():
    hostile = VALUES | {"BUILD-ID": "../../etc/passwd"}
    assert "/" not in parse_note(vmcoreinfo_note(hostile), PhysicalAddress(0)).build_id


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"VMCOREINFO\0",
        struct.pack("<III", 11, 0, 0) + b"VMCOREINFO\0\0",
        struct.pack("<III", 11, 0xFFFFFFFF, 0) + b"VMCOREINFO\0\0OSRELEASE=6.1\nPAGESIZE=4096\n",
        struct.pack("<III", 12, 60, 0) + b"VMCOREINFO\0\0OSRELEASE=6.1\nPAGESIZE=4096\n",
        struct.pack("<III", 11, 60, 1) + b"VMCOREINFO\0\0OSRELEASE=6.1\nPAGESIZE=4096\n",
        vmcoreinfo_note({"OSRELEASE": "6.1", "PAGESIZE": 65536}),
        vmcoreinfo_note({"PAGESIZE": 4096}),
        vmcoreinfo_note({"OSRELEASE": "%s", "PAGESIZE": "%ld"}),
    ],
)
def test_what_is_no_note_is_passed_over(note):
    assert parse_note(note, PhysicalAddress(0)) is None


@pytest.mark.parametrize("value", ["zz", "1" * 40, "", "-5", "0x10"])
def test_a_value_that_is_no_number_counts_as_missing(value):
    info = parse_note(vmcoreinfo_note(VALUES | {"SYMBOL(x)": value, "NUMBER(x)": value + "f"}), PhysicalAddress(0))
    assert info.symbol("x") in (None,) or len(value) <= 16
    assert info.number("x") is None


def test_the_note_is_found_behind_the_string_table_that_names_it(tmp_path):
    memory = Memory(tmp_path)
    memory.write(0x2003, b"PAGESIZE=%ld\nVMCOREINFO\0OSRELEASE=%s\n")
    memory.write(0x9000, vmcoreinfo_note(VALUES))
    info = find_vmcoreinfo(memory.open())
    assert (info.release, info.physical) == (VALUES["OSRELEASE"], 0x9000)


def test_every_note_is_tried_and_the_one_at_the_very_end_is_cut(tmp_path):
    memory = Memory(tmp_path)
    memory.write(0x5000, vmcoreinfo_note(VALUES))
    memory.write(0x7000, vmcoreinfo_note(VALUES | {"OSRELEASE": "6.12"}))
    memory.write(len(memory.data) - 24, vmcoreinfo_note(VALUES)[:24])
    memory.write(0, b"VMCOREINFO\0")
    ram = memory.open()
    assert [info.release for info in iter_vmcoreinfo(ram)] == ["6.1.0-56-cloud-amd64", "6.12"]
    assert read_note(ram, PhysicalAddress(0x7000)).release == "6.12" and read_note(ram, PhysicalAddress(0x6000)) is None


def test_a_note_within_a_page_is_none(tmp_path):
    memory = Memory(tmp_path)
    memory.write(0x5010, vmcoreinfo_note(VALUES))
    memory.write(0x8000 - 16, vmcoreinfo_note(VALUES))
    assert list(iter_vmcoreinfo(memory.open())) == []


def test_a_sparse_file_is_searched_where_it_holds_data(tmp_path):
    path = tmp_path / "sparse.ram"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(0x3000000)
        file.write(vmcoreinfo_note(VALUES))
    ram = GuestRam(path, RamLayout.from_rule("pc", 64 << 20))
    assert [info.physical for info in iter_vmcoreinfo(ram)] == [0x3000000]


def test_empty_memory_is_not_booted(tmp_path):
    with pytest.raises(NotBootedError, match="wait until"):
        find_vmcoreinfo(Memory(tmp_path).open())


@pytest.mark.guest
def test_the_note_names_the_running_kernel(machine):
    info = find_vmcoreinfo(machine.ram)
    assert info.release == machine.exec("uname -r").decode().strip()
    inside = machine.exec("od -An -v -tx1 /sys/kernel/notes").decode().replace(" ", "").replace("\n", "")
    assert info.build_id in inside
