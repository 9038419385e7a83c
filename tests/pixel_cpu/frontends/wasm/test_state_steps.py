"""Instructions on the state of a lane as steps."""

from wasm_steps import steps_of


def test_references_are_numbers_and_null_is_minus_one():
    found = steps_of("(ref.is_null (ref.func 0))", '(export "g") (result i32)')
    assert found[1:3] == [("const", 2, 0, 0, 0), ("i32.eq.const", 2, 2, 0, 0xFFFFFFFF)]


def test_locals_that_are_references_begin_as_null():
    found = steps_of("(local i32 i32 funcref) (ref.is_null (local.get 2))", "(result i32)")
    assert found[1:3] == [("zero", 2, 0, 0, 2), ("null", 4, 0, 0, 1)]
