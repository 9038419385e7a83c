"""kdump files: pages in any compression, in pieces, and in a file made for a pipe."""

from __future__ import annotations

import pytest
from dump_files import PACK, PAGE, RAM, Bytes, flattened, kdump

from qemu_bridge.dumps.dump import layout_of
from qemu_bridge.dumps.kdump import Flattened, open_kdump
from qemu_bridge.errors import UsageError


@pytest.mark.parametrize("flag", PACK)
def test_pages_in_every_compression(flag):
    found = open_kdump(Bytes(kdump(flag=flag)))
    assert dict(found.pieces()) == RAM and len(layout_of(found.ranges).regions) == 2


@pytest.mark.parametrize("in_order", [True, False])
def test_a_flattened_file_reads_as_the_whole_one(in_order):
    whole = kdump()
    file = Flattened(Bytes(flattened(whole, in_order=in_order)))
    assert file.size == len(whole) and file.read(0, 1 << 30) == whole
    for at in range(0, len(whole), 4099):
        assert file.read(at, 5000) == whole[at : at + 5000]


def test_pages_that_were_left_out_are_counted():
    found = open_kdump(Bytes(kdump(left_out=(0x101, 0x102))))
    content = dict(found.pieces())
    assert found.missing == ["2 pages (8 KiB) were left out when memory was written"]
    assert content[0x100000] == RAM[0x100000][:PAGE] and content[0x103000] == RAM[0x100000][3 * PAGE :]


def test_one_part_of_several_is_refused():
    part = bytearray(kdump())
    part[PAGE + 12] = 1
    with pytest.raises(UsageError, match="reassemble"):
        open_kdump(Bytes(bytes(part)))
