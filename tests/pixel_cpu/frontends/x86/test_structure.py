"""Structured control flow: random loops of jumps leave behind what a walk through their instructions does."""

from __future__ import annotations

import random

import pytest
from x86_loops import HEAD, run
from x86_states import Case

from pixel_cpu.errors import LiftError
from pixel_cpu.frontends.x86 import MachineLoop, lift

OPERATIONS = {
    "83c00b": lambda eax, ecx: (eax + 11, ecx),
    "6bc003": lambda eax, ecx: (eax * 3, ecx),
    "83e901": lambda eax, ecx: (eax, ecx - 1),
    "83f05a": lambda eax, ecx: (eax ^ 0x5A, ecx),
    "0fbec0": lambda eax, ecx: ((eax & 0xFF) - (eax << 1 & 0x100), ecx),
}


def random_loop(seed):
    """Blocks, each an operation, a bit of ecx, and the block where it goes on if that is set; else it is the next one."""
    dice = random.Random(seed)
    count = dice.randrange(3, 9)
    return [(dice.choice(list(OPERATIONS)), dice.randrange(5), dice.randrange(count + 1)) for _ in range(count)]


def machine(blocks):
    """The same as instructions: the operation, bt ecx, bit; jc target. Behind the last: dec ecx; jnz head."""
    size, instructions = 9, {}
    for number, (text, bit, target) in enumerate(blocks):
        at = HEAD + size * number
        instructions[at], instructions[at + 3] = bytes.fromhex(text), bytes.fromhex("0fbae1") + bytes([bit])
        instructions[at + 7] = b"\x72" + (size * (target - number) - 9).to_bytes(1, "little", signed=True)
    end = HEAD + size * len(blocks)
    instructions[end] = bytes.fromhex("ffc9")
    instructions[end + 2] = b"\x75" + (HEAD - end - 4).to_bytes(1, "little", signed=True)
    return MachineLoop(HEAD, instructions), end + 4


def walk(blocks, eax, ecx, most):
    """What the processor does, in Python; None if it takes too long."""
    number, rounds = 0, 0
    for _ in range(most):
        if number == len(blocks):
            ecx = ecx - 1 & 0xFFFFFFFF
            if not ecx:
                return eax, ecx
            number, rounds = 0, rounds + 1
            continue
        text, bit, target = blocks[number]
        eax, ecx = (value & 0xFFFFFFFF for value in OPERATIONS[text](eax, ecx))
        number = target if ecx >> bit & 1 else number + 1
    return None


@pytest.mark.parametrize("seed", range(40))
def test_a_random_loop_ends_where_a_walk_ends(seed):
    blocks = random_loop(seed)
    loop, end = machine(blocks)
    try:
        lifted = lift(loop)
    except LiftError as error:
        assert "irreducible" in str(error) or "no way leads back" in str(error)
        return
    for eax, ecx in ((1, 9), (77, 40), (5, 1)):
        wanted = walk(blocks, eax, ecx, 400)
        if wanted is not None:
            (row,), _, outcome = run(lifted, [{"rax": eax, "rcx": ecx}], fuel=2000)
            assert outcome.trap is None
            assert (row["rax"], row["rcx"], row["next"]) == (*wanted, end)


def test_most_random_loops_are_structured():
    structured = 0
    for seed in range(40):
        try:
            lift(machine(random_loop(seed))[0])
            structured += 1
        except LiftError:
            pass
    assert structured > 15


def test_an_instruction_behind_a_selection_sees_what_was_selected():
    case = Case(bytes.fromhex("0f44c3"))
    assert "select" in {
        op.name for op in case.lifted().module.functions["loop"].body.operations[-2].regions[0].operations
    }
