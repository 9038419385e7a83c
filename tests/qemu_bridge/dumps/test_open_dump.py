"""A file is known by its first bytes; what cannot be read says why."""

from __future__ import annotations

import pytest
from dump_files import EVERY, PAGE, Bytes, elf_core, kdump, lime

from qemu_bridge.dumps.open_dump import open_dump
from qemu_bridge.errors import UsageError

KINDS = {"elf": "an ELF core", "lime": "a LiME dump", "avml": "an AVML dump"}


@pytest.mark.parametrize("name", EVERY)
def test_a_format_is_known_by_its_first_bytes(name):
    assert open_dump(Bytes(EVERY[name])).format == KINDS.get(name, "a kdump file")


def test_bytes_without_a_header_are_no_dump():
    assert open_dump(Bytes(bytes(PAGE))) is None and open_dump(Bytes(bytes(PAGE + 5))) is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (elf_core({0x1000: bytes(PAGE), 0x1800: bytes(PAGE)}), "two parts of it hold RAM"),
        (elf_core(machine=183), "not x86"),
        (elf_core(kind=2), "no core"),
        (lime({1 << 60: bytes(PAGE)}), "claims RAM at"),
        (b"\x7fELF\x02\x01", "cut short"),
        (b"EMiL" + bytes(28), "no header of version 1"),
        (b"QEVM" + bytes(60), "saved state"),
        (b"LibvirtQemudSave" + bytes(60), "virsh dump"),
        (kdump()[:200], "cut short in its header"),
    ],
)
def test_what_is_refused_says_why(content, sentence):
    with pytest.raises(UsageError, match=sentence):
        open_dump(Bytes(content))
