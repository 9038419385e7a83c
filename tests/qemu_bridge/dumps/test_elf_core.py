"""ELF cores: a machine's is read, a process's is not; Volatility finds the same in them."""

from __future__ import annotations

import pytest
from dump_files import PAGE, RAM, Bytes, elf_core
from volatility_layers import read_by_volatility

from qemu_bridge.dumps.elf_core import open_elf_core
from qemu_bridge.errors import UsageError


def test_segments_are_ranges_and_empty_ones_none():
    found = open_elf_core(Bytes(elf_core(RAM | {0x900000: b""})))
    assert found.ranges == tuple((start, start + len(part)) for start, part in RAM.items())
    assert dict(found.pieces()) == RAM and not found.missing


@pytest.mark.filterwarnings("ignore:The metaschema:DeprecationWarning")
def test_volatility_reads_the_same():
    assert read_by_volatility("elf.Elf64Layer", elf_core()) == RAM


def test_the_core_of_a_process_is_refused():
    head = bytearray(elf_core({0: bytes(PAGE), 0x1000: bytes(PAGE)}))
    for row in (1, 2):
        head[64 + 56 * row + 24 : 64 + 56 * row + 32] = bytes(8)
    with pytest.raises(UsageError, match="core of a process"):
        open_elf_core(Bytes(bytes(head)))
