"""Rounds of loops inside of a loop: what is said of them is what the loops do."""

from __future__ import annotations

import random
import struct

import pytest
from x86_loops import machine_loop, run

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import walk
from pixel_cpu.learn.native import native_of
from pixel_cpu.learn.rounds_in_place import Needed, RoundEmitter
from pixel_cpu.learn.trips import MOST_ROUNDS, most_rounds

COUNT = "48ffc0"
"""inc rax: the test counts the rounds of the loop inside."""


def around(*codes: str):
    """A loop around these instructions, which goes on while r8 counts down."""
    length = sum(len(code) // 2 for code in (*codes, "49ffc8")) + 2
    return machine_loop(*codes, "49ffc8", f"75{256 - length:02x}")


def said(loop) -> int | None:
    """The rounds that the loop inside does at most."""
    function = native_of("loop", loop).lifted.module.functions["loop"]
    emitter = RoundEmitter(function, Needed(function))
    outer, inner = (op for op in walk(function.body) if op.name == "loop")
    assert outer is emitter.needed.head
    return most_rounds(inner, emitter.place_of, emitter.made, emitter.constants)


def done(loop, **registers: int) -> int:
    """The rounds of the loop inside in the first round around it."""
    (row,), _, _ = run(lift(loop), [{"rax": 0, "r8": 5, **registers}], bytes(64), limit=1)
    return row["rax"]


def counted(start: int, step: int, limit: int, jump: str = "75"):
    """mov rcx, start; again: inc rax; add rcx, step; cmp rcx, limit; jump to again."""
    inner = (COUNT, f"4883c1{step & 0xFF:02x}", f"4881f9{struct.pack('<i', limit).hex()}")
    back = 256 - sum(len(code) // 2 for code in inner) - 2
    return around(f"48c7c1{struct.pack('<i', start).hex()}", *inner, f"{jump}{back:02x}")


def test_counters_that_meet_a_number_end_their_loop_there():
    chance = random.Random(7)
    for _ in range(40):
        step, rounds, start = (
            chance.choice([1, -1, 3, 8, -4, 127]),
            chance.randint(1, MOST_ROUNDS),
            chance.randint(-900, 900),
        )
        loop = counted(start, step, start + step * rounds)
        assert said(loop) == done(loop) == rounds


@pytest.mark.parametrize(
    "loop",
    [counted(0, 1, MOST_ROUNDS + 1), counted(0, 2, 7), counted(0, 1, 8, "7c"), counted(0, 0, 8)],
    ids=["too many", "never met", "another comparison", "no step"],
)
def test_of_others_nothing_is_said(loop):
    assert said(loop) is None


def test_a_pointer_that_meets_another_one_ends_its_loop_there():
    # lea rdx, [rbx + 48]; mov rcx, rbx; again: inc rax; add rcx, 8; cmp rcx, rdx; jne again
    loop = around("488d5330", "4889d9", COUNT, "4883c108", "4839d1", "75f4")
    assert said(loop) == done(loop, rbx=1 << 40) == 6


def test_a_way_out_before_is_not_later():
    # xor ecx, ecx; again: inc rax; cmp rax, rbx; je out; inc rcx; cmp rcx, 9; jne again
    loop = around("31c9", COUNT, "4839d8", "7409", "48ffc1", "4883f909", "75ef")
    assert said(loop) == 9 and done(loop, rbx=3) == 3 and done(loop, rbx=77) == 9


def test_a_round_that_misses_the_comparison_leaves_it_open():
    # xor ecx, ecx; again: inc rax; inc rcx; cmp rax, rbx; je again; cmp rcx, 9; jne again
    loop = around("31c9", COUNT, "48ffc1", "4839d8", "74f5", "4883f909", "75ef")
    assert said(loop) is None
