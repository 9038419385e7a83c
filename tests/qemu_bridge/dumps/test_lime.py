"""LiME and AVML: ranges that end anywhere, blocks of frames; Volatility finds the same in them."""

from __future__ import annotations

from dump_files import RAM, Bytes, avml, lime
from volatility_layers import read_by_volatility

from qemu_bridge.dumps.lime import open_avml, open_lime

ODD = RAM | {0x1000: RAM[0x1000][:-1024]}
"""The first range ends where firmware keeps its data area, within a page."""


def joined(pieces):
    found = {}
    for start, content in pieces:
        first = next((each for each, part in found.items() if each + len(part) == start), start)
        found[first] = found.get(first, b"") + content
    return found


def test_ranges_end_where_they_say():
    found = open_lime(Bytes(lime(ODD)))
    assert found.ranges[0] == (0x1000, 0x1000 + len(ODD[0x1000])) and joined(found.pieces()) == ODD
    assert joined(open_avml(Bytes(avml(ODD))).pieces()) == ODD


def test_volatility_reads_the_same():
    assert read_by_volatility("lime.LimeLayer", lime()) == RAM
    assert read_by_volatility("avml.AVMLLayer", avml()) == RAM
