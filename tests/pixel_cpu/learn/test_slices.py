"""Checksums by tables: their tables, and those for bytes ahead."""

from __future__ import annotations

import zlib

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned
from x86_loops import CRC32

from pixel_cpu.errors import UsageError
from pixel_cpu.learn.candidate import Frame
from pixel_cpu.learn.slices import find_slicing, table_of


def slicings(code):
    loop = learned(code)
    return list(find_slicing(loop, Frame(loop, loop.lifted.module.functions["loop"])))


def test_the_table_of_a_polynomial_is_that_of_the_library():
    ones = 0xFFFFFFFF
    for value in (0, 1, 77, 255):
        assert zlib.crc32(bytes([value])) == table_of(0x04C11DB7, True)[(ones ^ value) & 255] ^ ones >> 8 ^ ones


def test_state_and_data_are_looked_up_together():
    first, _ = slicings(CRC32)
    assert first.register == "rcx" and first.name == "CRC-32"
    assert [(own, other) for own, other, _ in first.parts] == [
        *((n, n) for n in range(4)),
        *((None, n) for n in range(4, 8)),
    ]


def test_a_loop_that_is_no_checksum_is_refused():
    with pytest.raises(UsageError, match="no checksum"):
        slicings(compiled_loop("copy", "-O1"))
