"""Traces of loops of real instructions whose truth is known."""

from __future__ import annotations

import numpy as np
from trace_producer import record
from trace_program import pieces_of, record_words
from x86_loops import CRC32

BASE = 0x55AA00001000
RAM_OFFSET = 0x7003000
END = 4
"""The id of the block behind the loop."""


_CODES = list(CRC32.instructions.values())
BLOCKS = {
    1: (BASE, _CODES[:2]),
    2: (BASE + 5, _CODES[2:]),
    3: (BASE - 3, [b"\x0f\x1f\x00"]),
    4: (BASE + 0x19, [b"\x31\xd2", b"\xc3"]),
}


class Checksum:
    """The loop of `CRC32` in two blocks, 1 and 2, behind block 3; block 4 is where it ends."""

    records = b"".join(
        record(number, at, b"".join(codes), [len(code) for code in codes], offset=RAM_OFFSET + at - BASE, ring=3)
        for number, (at, codes) in BLOCKS.items()
    )


def record_checksum(folder, rounds=400):
    """A trace of the loop gone round `rounds` times, thrice."""
    once = [3, *[1, 2] * rounds, 1, END]
    return record_words(folder, Checksum, pieces_of(np.array(once * 3, np.uint32)))
