"""Cells: which of them a varnode lies in."""

from __future__ import annotations

from pixel_cpu.frontends.x86.pcode import Varnode
from pixel_cpu.frontends.x86.registers import CELLS, cells_of
from pixel_cpu.ir.types import Type


def test_parts_of_registers_lie_in_their_cell():
    for offset, size in ((0, 8), (0, 4), (0, 1), (1, 1)):
        assert list(cells_of(Varnode("register", offset, size))) == [(CELLS["rax"], offset, size)]


def test_a_vector_has_a_cell_for_eight_bytes():
    offset = CELLS["xmm3_0"].offset
    names = [cell.name for cell, _, _ in cells_of(Varnode("register", offset, 16))]
    assert names == ["xmm3_0", "xmm3_1"]
    assert [(cell.name, first) for cell, first, _ in cells_of(Varnode("register", offset + 12, 4))] == [("xmm3_1", 4)]


def test_each_flag_is_a_cell_of_one_bit():
    assert CELLS["zf"].type is Type.BOOL and CELLS["zf"].size == 1 and CELLS["rax"].type is Type.U64
    assert [cell.name for cell, _, _ in cells_of(Varnode("register", CELLS["zf"].offset, 1))] == ["zf"]
