"""Decoding: p-code's records, what moves with an instruction, and that the tables of registers are pypcode's."""

from __future__ import annotations

import pypcode
import pytest

from pixel_cpu.errors import LiftError
from pixel_cpu.frontends.x86.pcode import Varnode, decode

KERNEL = 0xFFFFFFFF81000000


@pytest.mark.parametrize("address", [0x401000, 0x7FFFF7C00000, KERNEL])
def test_what_moves_with_an_instruction_is_relative(address):
    # lea rax, [rip + 0x10]: and add eax, 0x12345678, whose constant stays
    (op,) = [op for op in decode(address, bytes.fromhex("488d0510000000")).ops if op.output.offset == 0]
    assert op.inputs[-1].is_relative and op.inputs[-1].offset == address + 7 + 0x10
    constants = [varnode for op in decode(address, bytes.fromhex("0578563412")).ops for varnode in op.inputs]
    assert Varnode("const", 0x12345678, 4) in constants and not any(varnode.is_relative for varnode in constants)


def test_a_jump_has_a_relative_target_and_a_call_pushes_one():
    (jump,) = decode(KERNEL, bytes.fromhex("ebfe")).ops
    assert jump.name == "BRANCH" and jump.inputs[0] == Varnode("ram", KERNEL, 8, is_relative=True)
    call = decode(KERNEL, bytes.fromhex("e800000000"))
    assert any(op.name == "STORE" and op.inputs[1].is_relative for op in call.ops)


def test_an_absolute_address_stays():
    loads = decode(KERNEL, bytes.fromhex("8b042578563412")).ops
    assert any(varnode == Varnode("ram", 0x12345678, 4) for op in loads for varnode in op.inputs)


@pytest.mark.parametrize("code", ["0f04", "9090", "f0"])
def test_bytes_that_are_no_instruction_or_two_are_an_error(code):
    with pytest.raises(LiftError, match=r"no instruction.*") as raised:
        decode(0x1000, bytes.fromhex(code))
    assert raised.value.place.address == 0x1000


def test_a_mnemonic_has_no_prefix():
    assert decode(0, bytes.fromhex("f3a4")).mnemonic == "movsb"
    assert decode(0, bytes.fromhex("f00106")).mnemonic == "add"


def test_every_register_lies_where_pypcode_has_it():
    from pixel_cpu.frontends.x86.registers import CELLS

    known = pypcode.Context("x86:LE:64:default").registers
    names = {"fs_base": "FS_OFFSET", "gs_base": "GS_OFFSET"}
    for name, cell in CELLS.items():
        if not name.startswith("xmm"):
            varnode = known[names.get(name, name.upper())]
            assert (varnode.offset, varnode.size) == (cell.offset, cell.size), name
        elif name.endswith("_0"):
            assert known[name.upper().partition("_")[0]].offset == cell.offset
