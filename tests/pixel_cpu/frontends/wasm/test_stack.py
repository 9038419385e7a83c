"""The two stacks of validation."""

import pytest

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm.module import FunctionType
from pixel_cpu.frontends.wasm.opcodes import ValueType
from pixel_cpu.frontends.wasm.reader import Reader
from pixel_cpu.frontends.wasm.stack import Stacks

I32, I64 = ValueType.I32, ValueType.I64


def test_a_block_does_not_see_what_is_below():
    stacks = Stacks(Reader(b""), ())
    stacks.stack.append(I32)
    stacks.open("block", FunctionType())
    with pytest.raises(WasmError, match="nothing on the stack"):
        stacks.pop(I32)


def test_code_that_is_not_reached_has_every_type():
    stacks = Stacks(Reader(b""), ())
    stacks.leave()
    stacks.stack += [ValueType.UNKNOWN, I64]
    stacks.pop_all((I32, I64, I32, I64))
    assert stacks.stack == []
    stacks.stack.append(I64)
    with pytest.raises(WasmError, match="i64 where i32 is wanted"):
        stacks.pop_all((I64, I32))


def test_labels_are_those_of_loops_and_blocks():
    stacks = Stacks(Reader(b""), (I64,))
    stacks.stack.append(I32)
    stacks.open("loop", FunctionType((I32,), (I64,)))
    assert stacks.frame(0).label == (I32,) and stacks.frame(1).label == (I64,)
    with pytest.raises(WasmError, match="unknown label 2"):
        stacks.frame(2)
