"""Functions that are cut into parts."""

from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.machine import Machine
from pixel_cpu.frontends.wasm.state import State


def test_only_blocks_that_hold_a_call_of_a_member_are_cut():
    text = """(module (func $f (param i32)
      (block (block (br_if 0 (local.get 0))) (loop (call $f (i32.const 1)) (br_if 0 (local.get 0))))
      (block (call $other))) (func $other))"""
    module = decode(assemble(text))
    (member,) = Machine(module, State(module), (0,)).lowerings
    cut = [member.code.instructions[place].op.name for place in sorted(member.cuts.blocks)]
    assert cut == ["block", "loop"]
