"""Where values of the stack are."""

from pixel_cpu.frontends.wasm.frames import HEAD
from pixel_cpu.frontends.wasm.registers import Const, Registers
from pixel_cpu.frontends.wasm.steps import STEPS


def registers(*stack):
    found = Registers()
    found.stack_at = HEAD + 3
    found.stack += stack
    return found


def names(found):
    return [STEPS[step[0]] for step in found.code]


def test_a_value_that_a_step_computes_goes_into_the_local_at_once():
    own = registers(HEAD, Const(7))
    own.numeric("i32.add", 2)
    own.set_local(1)
    assert names(own) == ["i32.add.const"] and own.code[0][1:] == (HEAD + 1, HEAD, 0, 7) and not own.stack


def test_what_other_code_comes_to_finds_values_in_their_cells():
    own = registers(HEAD + 2, Const(5))
    own.settle_all()
    assert names(own) == ["move", "const"] and own.stack == [HEAD + 3, HEAD + 4]
    own.settle_all()
    assert len(own.code) == 2


def test_values_that_a_branch_brings_do_not_overwrite_each_other():
    own = registers(HEAD + 1, HEAD)
    own.bring(2, HEAD)
    # Both are read before the first cell is set.
    assert [step[1:3] for step in own.code] == [
        (HEAD + 3, HEAD + 1),
        (HEAD + 4, HEAD),
        (HEAD, HEAD + 3),
        (HEAD + 1, HEAD + 4),
    ]
    assert own.stack == [HEAD + 1, HEAD]
