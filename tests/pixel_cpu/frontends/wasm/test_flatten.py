"""Stack code as steps."""

from wasm_steps import steps_of


def test_locals_and_constants_are_operands_and_results_go_where_they_are_set():
    found = steps_of("(local.set 0 (i32.add (local.get 1) (i32.const 5))) (local.get 0)")
    assert [step[0] for step in found] == ["part", "i32.add.const", "leave"]
    assert found[1] == ("i32.add.const", 2, 3, 0, 5)


def test_a_local_that_is_set_while_its_value_is_on_the_stack_is_saved_before():
    found = steps_of("(local.get 0) (local.set 0 (i32.const 9)) (i32.sub (local.get 0))")
    assert [step[0] for step in found] == ["part", "move", "const", "i32.sub", "move", "leave"]
    saved, minus = found[1], found[3]
    assert saved[2] == 2 and minus[2] == saved[1] and minus[3] == 2


def test_a_branch_takes_the_comparison_before_it():
    found = steps_of("(loop (br_if 0 (i32.lt_s (local.get 0) (i32.const -3)))) (local.get 0)")
    (branch,) = [step for step in found if "lt_s" in step[0]]
    assert branch[0] == "i32.lt_s.if.const" and branch[4] >> 32 == 0xFFFFFFFD and branch[4] & 0xFFFFFFFF == 1
