"""Records of blocks: what is refused, what began in a block, where it ran, how it ends (the oracle is Capstone)."""

import capstone
import numpy as np
import pytest
from trace_producer import Event, event, record, split64
from trace_records import EMPTY, dictionary, events

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.records import NONE, Flow, begun_instructions, block_addresses, index_records
from tcg_plugin import layout
from tcg_plugin.layout import BlockFlag


def begun(records, blocks, found=EMPTY, following=NONE):
    out = np.empty(len(blocks), np.uint16)
    total = begun_instructions(records, np.array(blocks, np.uint32), following, found, out=out)
    assert total == out.sum()
    return out.tolist()


def test_damaged_records_are_refused():
    good = record(1, 0x1000, b"\x90\x90", [1, 1])
    for place, value in ((0, 200), (0, 0), (32, 9), (34, 9), (40, 2), (7, 0x80)):
        bad = bytearray(good)
        bad[place] = value
        with pytest.raises(TraceError):
            index_records(np.frombuffer(bytes(bad), np.uint8))
    with pytest.raises(TraceError):
        index_records(np.frombuffer(good[:-8], np.uint8))


CODE = [1, 2, 3, 4]
"""Lengths of a block at 0x1000: instructions at 0x1000, 0x1001, 0x1003, 0x1006; it ends at 0x100a."""


@pytest.fixture
def cut():
    nops = b"\x90" * 10
    return dictionary(
        record(1, 0x1000, nops, CODE),
        record(2, 0x1003, b"\x90\x90\x90", [3]),
        record(3, 0x5000, b"\x90", [1]),
        record(4, 0x1000, nops, CODE, flags=BlockFlag.MARKED),
    )


def test_a_block_begins_all_its_instructions_unless_something_says_not(cut):
    assert begun(cut, [0, 2, 0]) == [4, 1, 4]


def test_a_fault_cuts_behind_the_instruction_that_could_not_be_finished(cut):
    found = events((1, event(Event.EXCEPTION, *split64(0x1001), 0, 0, small=14)))
    assert begun(cut, [0, 2], found) == [2, 1]


def test_a_fault_of_the_fetch_and_an_interrupt_cut_nothing(cut):
    fetch = events((1, event(Event.EXCEPTION, *split64(0x1001), 16, 0, small=14)))
    timer = events((1, event(Event.EXCEPTION, *split64(0x1000), 0, 0, small=236)))
    assert begun(cut, [0, 2], fetch) == begun(cut, [0, 2], timer) == [4, 1]


def test_an_instruction_that_ran_alone_is_the_last_of_its_block(cut):
    assert begun(cut, [0, 2], events((1, event(Event.IO_DONE, *split64(0x1003))))) == [3, 1]


def test_a_block_of_one_instruction_inside_the_one_before_cuts_it_unless_that_ran_to_its_end(cut):
    assert begun(cut, [0, 1, 2]) == [3, 1, 1]
    assert begun(cut, [0, 2], following=1) == [4, 1]
    assert begun(cut, [0], following=1) == [3]
    assert begun(cut, [3, 1], events((1, event(Event.BLOCK_END)))) == [4, 1]


def test_user_code_runs_where_the_last_word_says_its_page_is():
    records = dictionary(
        record(1, 0x400010, b"\x90", [1], offset=0x7010, ring=3),
        record(2, 0xFFFF0, b"\x90", [1], offset=0x7020, ring=0),
    )
    slots, pages = np.array([0, NONE], np.uint32), np.array([7], np.uint32)
    moved = events((2, event(Event.CODE_PAGE, 7, *split64(0x7FFF1))))
    homes = np.array([layout.NO_OFFSET], np.uint64)
    found = block_addresses(records, slots, pages, homes, np.array([0, 1, 0], np.uint32), moved)
    assert [hex(each) for each in found.tolist()] == ["0x400010", "0xffff0", "0x7fff1010"]
    assert homes.tolist() == [0x7FFF1]


FORMS = [
    *(
        "74 05",
        "0f 84 01 02 03 04",
        "e2 fe",
        "e3 10",
        "eb 80",
        "e9 ff ff ff ff",
        "e8 00 01 00 00",
        "c3",
        "c2 08 00",
        "cf",
    ),
    *(
        "ff d0",
        "ff e0",
        "ff 25 00 00 00 00",
        "ff c0",
        "0f 05",
        "48 0f 07",
        "0f 22 d8",
        "f3 a4",
        "f3 48 ab",
        "f2 ae",
        "a4",
    ),
    *("90", "f4", "cc", "cd 80", "f3 c3", "f2 e9 00 00 00 00", "3e 75 7f", "48 8b 05 00 00 00 00", "41 ff e3", "ff 18"),
]


@pytest.mark.parametrize("form", FORMS)
def test_endings_agree_with_capstone(form):
    code = bytes.fromhex(form)
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    (insn,) = decoder.disasm(code, 0x10000)
    ending = dictionary(record(1, 0x10000, code, [len(code)])).endings()[0]
    groups, direct = set(insn.groups), bool(insn.operands) and insn.operands[0].type == capstone.x86.X86_OP_IMM
    jumps = {capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, capstone.CS_GRP_BRANCH_RELATIVE} & groups
    if jumps and direct and capstone.CS_GRP_INT not in groups:
        unconditional = insn.mnemonic.split()[-1] in ("jmp", "call")
        assert ending["flow"] == (Flow.JUMP if unconditional else Flow.BRANCH)
        assert int(ending["target"]) == insn.operands[0].imm
    elif jumps or groups & {capstone.CS_GRP_RET, capstone.CS_GRP_IRET, capstone.CS_GRP_INT} or "sys" in insn.mnemonic:
        assert ending["flow"] == Flow.ANY
    else:
        assert ending["flow"] == (Flow.REPEAT if insn.prefix[0] in (0xF2, 0xF3) else Flow.NEXT)
