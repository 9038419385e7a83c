"""The buffers of instances."""

import pytest
from wasm_texts import assemble

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.state import DEFAULT_PAGES, State


def state(text: str, pages: int | None = None) -> State:
    return State(decode(assemble(text)), pages)


def test_only_what_can_change_has_a_stretch_for_each_lane():
    fixed = state("(module (memory 1 4) (table 2 funcref) (global i32 (i32.const 1)) (func))")
    assert [each.name for each in fixed.memories] == ["memory", "table0"]
    assert fixed.memory and fixed.memory.stride == 1 << 16 and fixed.memory.sizes is None
    assert fixed.tables[0].is_shared and not fixed.tables[0].buffer.is_writable


def test_a_memory_grows_to_the_budget_or_its_limit():
    text = "(module (memory 1 {}) (func (drop (memory.grow (i32.const 1)))))"
    assert state(text.format("")).memory.stride == DEFAULT_PAGES << 16
    assert state(text.format("3")).memory.stride == 3 << 16
    assert state(text.format(""), pages=40).memory.stride == 40 << 16
    with pytest.raises(WasmError, match="more than the budget of 1"):
        state("(module (memory 2))", pages=1)
    with pytest.raises(WasmError, match="a memory of 40000 pages is not supported"):
        state("(module (memory 40000))")


def test_imported_globals_have_the_values_that_are_given():
    text = """(module (import "env" "base" (global i32)) (import "env" "ratio" (global (mut f32))) (import "env" "none" (global funcref))
      (global i64 (i64.const 7)) (global i32 (global.get 0)))"""
    given = {"env.base": -2, "env.ratio": 0.5}
    found = State(decode(assemble(text)), globals_=given)
    assert found.start_globals == (0xFFFFFFFE, 0x3F000000, -1, 7, 0xFFFFFFFE)
    for wrong, why in (
        ({}, "the imported global env.base has no value"),
        (given | {"env.base": 1 << 32}, "env.base is i32, which does not hold 4294967296"),
        (given | {"env.other": 1}, "imports no global env.other; it imports env.base, env.ratio, env.none"),
    ):
        with pytest.raises(WasmError, match=why):
            State(decode(assemble(text)), globals_=wrong)


def test_segments_are_counted_and_their_functions_known():
    found = state(
        """(module (memory 1) (table 4 funcref) (data "abc") (data (i32.const 0) "de") (elem func 1 0) (func) (func)
        (func (data.drop 0) (elem.drop 0) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))"""
    )
    assert [found.segment_length("data", number) for number in (0, 1)] == [3, 0]
    assert found.segment_length("items", 0) == 2 and found.in_tables == {0, 1}
    assert found.gone("data", 0) and found.gone("data", 1) is None and found.gone("items", 0)
