"""What a loop needs of the round before, and by which operation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from x86_loops import machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.verifier import verify
from pixel_cpu.learn.classify import classify
from pixel_cpu.learn.clean import clean

END = ("48ffc6", "4839d6")  # inc rsi; cmp rsi, rdx; jne head


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("480306", "add"),  # add rax, [rsi]
        ("0306", "add"),  # add eax, [rsi]
        ("482b06", "add"),  # sub rax, [rsi]
        ("483306", "xor"),  # xor rax, [rsi]
        ("482306", "and"),  # and rax, [rsi]
        ("480faf06", "mul"),  # imul rax, [rsi]
        ("48d1c0", ""),  # rol rax, 1
        ("48f7d8", ""),  # neg rax
    ],
)
def test_the_operation_of_a_recurrence(code, operation):
    body = (code, *END)
    back = -(sum(len(each) // 2 for each in body) + 2) & 0xFF
    lifted = lift(machine_loop(*body, f"75{back:02x}"), live_at=lambda _: ("rax",))
    found = classify(lifted)
    assert [(each.register, each.operation) for each in found.recurrences] == [("rax", operation)]
    assert found.kind == ("reduction" if operation else "serial")


def test_two_that_need_each_other_are_no_reductions():
    # add rax, rbx; add rbx, rax; dec rcx; jnz head
    found = classify(lift(machine_loop("4801d8", "4801c3", "48ffc9", "75f5"), live_at=lambda _: ("rax", "rbx")))
    assert {(each.register, each.operation) for each in found.recurrences} == {("rax", ""), ("rbx", "")}


def test_a_register_written_in_part_by_way_of_a_choice_is_none():
    # mov ax, [rsi]; cmp ax, di; cmovb eax, edi; add ax, bx; inc rsi; cmp rsi, rdx; jne head
    loop = machine_loop("668b06", "6639f8", "0f42c7", "6601d8", *END, "75ec")
    lifted = lift(loop, live_at=lambda _: ("rax",))
    kernel, _ = clean(lifted.module.functions["loop"])
    program = replace(lifted, module=verify(Module(lifted.module.kernels, {"loop": kernel})))
    assert classify(program).recurrences == ()
