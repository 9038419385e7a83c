"""Addresses: the register that one follows from."""

from __future__ import annotations

from x86_loops import CRC32, machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import walk
from pixel_cpu.learn.pointers import find_pointers


def pointers_of_loads(code, names):
    function = lift(code).module.functions["loop"]
    found = find_pointers(function, names)
    return [set(found[op.operands[0]]) for op in walk(function.body) if op.name == "load"]


def test_an_address_follows_the_register_that_it_is_a_sum_with():
    assert pointers_of_loads(CRC32, ["rsi", "rcx", "rdi"]) == [{"rsi"}, {"rcx"}]


def test_a_difference_of_two_is_a_distance():
    # mov rax, rsi; sub rax, r8; movzx eax, byte [rdi + rax]; inc rsi; dec ecx; jnz head
    code = machine_loop("4889f0", "4c29c0", "0fb60407", "48ffc6", "ffc9", "75ef")
    assert pointers_of_loads(code, ["rdi"]) == [{"rdi"}]
    assert pointers_of_loads(code, ["rdi", "rsi"]) == [{"rdi", "rsi"}]
