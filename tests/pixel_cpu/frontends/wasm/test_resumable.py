"""Programs that stop at calls of the host: which functions are cut into parts, and that large ones and deep ones can be."""

import numpy as np
import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm.resumable import resumable, stops
from pixel_cpu.ir.model import walk
from pixel_cpu.runtime.rounds import Reply, Rounds

TEXT = """(module (import "env" "ask" (func $ask (param i32) (result i32)))
  (memory 1) (table 3 funcref) (elem (i32.const 0) $ask $leaf $asks) (type $one (func (param i32) (result i32)))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $asks (param i32) (result i32) (i32.mul (call $ask (call $leaf (local.get 0))) (i32.const 2)))
  (func $alone (export "alone") (param i32) (result i32) (call $leaf (local.get 0)))
  (func $recursive (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $recursive (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
  (func (export "all") (param i32 i32) (result i32)
    (i32.add (call $recursive (local.get 0)) (call_indirect (type $one) (local.get 0) (local.get 1)))))"""


class Host:
    def serve(self, request):
        return Reply((request.operands[0] * 10,))


@pytest.fixture(scope="module")
def device():
    with px.Device("reference", isolated=False) as found:
        yield found


def test_what_may_call_the_host_or_itself_is_cut_and_the_rest_stays():
    program = px.wasm(assemble(TEXT))
    members, direct = stops(program.module, program.state, program.function("all"))
    # The imported function is 0; the table holds it, so that `all` may call it there.
    assert members == {2, 4, 5} and direct == [1]
    members, direct = stops(program.module, program.state, program.function("alone"))
    assert members == {3} and direct == [1]
    found = resumable(program.module, program.state, program.function("all"), is_apart=True)
    assert set(found.owners) == set(found.sizes) == {2, 4, 5} and found.owners[found.entry] == 5
    names = {op.name for function in found.program.functions.values() for op in walk(function.body)}
    assert "host_call" not in names


@pytest.mark.parametrize("is_apart", [False, True])
def test_calls_through_a_table_reach_the_host_directly_and_through_functions(device, is_apart, monkeypatch):
    program = px.wasm(assemble(TEXT))
    number = program.function("all")
    found = resumable(program.module, program.state, number, is_apart=is_apart)
    monkeypatch.setattr(type(program), "resumable", lambda *_: found)
    rounds = Rounds(program.instances(4, device=device), "all", [3, np.array([0, 1, 2, 9])], host=Host(), share=2)
    rounds.run()
    assert rounds.results[0][:3].tolist() == [30, 4, 80]
    assert rounds.trap(3).reason == "undefined element" and rounds.trap(3).function == program.module.name_of(5)


def test_blocks_may_nest_deeper_than_a_part_holds(device):
    depth = 300
    text = "".join("(block " for _ in range(depth)) + "(br_table 0 150 299 (local.get 0))" + ")" * depth
    module = f"""(module (import "env" "ask" (func $ask (param i32) (result i32)))
      (func (export "deep") (param i32) (result i32) {text}
        (drop (call $ask (local.get 0))) (i32.add (local.get 0) (i32.const 5))))"""
    rounds = Rounds(px.wasm(assemble(module)).instances(3, device=device), "deep", [np.arange(3)], host=Host())
    rounds.run()
    assert rounds.results[0].tolist() == [5, 6, 7]


def test_a_frame_that_the_stack_cannot_hold_is_refused():
    text = f'(module (import "env" "ask" (func $ask)) (func (export "f") (local {"i64 " * 600}) (call $ask)))'
    program = px.wasm(assemble(text), stack=4096)
    with pytest.raises(WasmError, match="call stack exhausted: a frame has 4816 bytes"):
        resumable(program.module, program.state, program.function("f"), is_apart=True)
