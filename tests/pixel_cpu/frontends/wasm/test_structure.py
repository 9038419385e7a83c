"""What lowering knows of blocks before it begins."""

import pytest
from wasm_texts import assemble, one_function

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.structure import MAX_BLOCKS, Block, blocks


def test_blocks_know_what_is_set_inside_and_who_branches_to_them():
    text = """(module (func (param i32 i32 i32)
        (block (local.set 1 (i32.const 1)) (loop (br_if 1 (local.tee 0 (i32.const 2)))) (if (local.get 0) (then (br_table 0 2 (i32.const 1)))))))"""
    body = decode(assemble(text)).bodies[0]
    names = [each.op.name for each in body.instructions]
    found = blocks(body)
    assert found == {
        names.index("block"): Block((0, 1), True),
        names.index("loop"): Block((0,), False),
        names.index("if"): Block((), True),
        -1: Block((0, 1), True),
    }


def test_blocks_that_nest_too_deep_are_refused_with_the_byte():
    deep = decode(one_function(b"\2\x40" * (MAX_BLOCKS + 1) + b"\x0b" * (MAX_BLOCKS + 2))).bodies[0]
    with pytest.raises(WasmError, match="nest deeper than 90") as caught:
        blocks(deep)
    assert caught.value.offset == deep.instructions[MAX_BLOCKS].offset
    blocks(decode(one_function(b"\2\x40" * MAX_BLOCKS + b"\x0b" * (MAX_BLOCKS + 1))).bodies[0])
