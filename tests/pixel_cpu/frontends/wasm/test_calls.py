"""Sets of functions that call one another."""

from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.calls import callees, components, is_recursive
from pixel_cpu.frontends.wasm.state import State


def found(text: str, function: int) -> list[tuple[int, ...]]:
    module = decode(assemble(text))
    return components(module, State(module), function)


def test_sets_come_callees_first():
    text = (
        "(module (func $a (call $b) (call $d)) (func $b (call $c)) (func $c (call $b)) (func $d (call $d)) (func $e))"
    )
    assert found(text, 0) == [(1, 2), (3,), (0,)] or found(text, 0) == [(3,), (1, 2), (0,)]
    module = decode(assemble(text))
    state = State(module)
    assert [is_recursive(module, state, each) for each in ((1, 2), (3,), (0,))] == [True, True, False]
    assert callees(module, state, 0) == [1, 3]


def test_a_table_may_lead_back():
    text = "(module (table 1 funcref) (elem (i32.const 0) 0) (func (call_indirect (i32.const 0))) (func (call_indirect (param i64) (i64.const 1) (i32.const 0))))"
    assert found(text, 0) == [(0,)] and found(text, 1) == [(1,)]
    module = decode(assemble(text))
    assert is_recursive(module, State(module), (0,)) and not is_recursive(module, State(module), (1,))


def test_a_long_chain_needs_no_stack_of_python():
    chain = " ".join(f"(func (call {number + 1}))" for number in range(5000))
    assert len(found(f"(module {chain} (func))", 0)) == 5001


def test_imported_functions_are_in_no_set():
    assert found('(module (import "a" "f" (func)) (func (call 0)))', 0) == []
    assert found('(module (import "a" "f" (func)) (func (call 0)))', 1) == [(1,)]
