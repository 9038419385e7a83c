"""Registers in 32 bits: those that stay so, and those that do not."""

from __future__ import annotations

from x86_loops import CRC32, machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import walk
from pixel_cpu.ir.types import Type
from pixel_cpu.learn.clean import clean
from pixel_cpu.learn.narrow import narrowed, with_short_results


def kinds_in_the_loop(code, names):
    function = lift(code, live_at=lambda _: ["rax"]).module.functions["loop"]
    loop = next(op for op in walk(narrowed(function, names).body) if op.name == "loop")
    return {value.name.partition(".")[0]: value.type for value in loop.regions[0].parameters}


def test_a_register_is_narrow_where_each_round_leaves_it_so():
    assert kinds_in_the_loop(CRC32, ["rax", "rsi"])["rax"] is Type.U32
    assert kinds_in_the_loop(CRC32, ["rax", "rsi"])["rsi"] is Type.U64  # counts in 64 bits
    assert kinds_in_the_loop(CRC32, [])["rax"] is Type.U64


def test_a_sum_of_which_the_lower_half_counts_is_narrow():
    # add rax, rdx; mov eax, eax; dec ecx; jnz head
    code = machine_loop("4801d0", "89c0", "ffc9", "75f7")
    function = lift(code, live_at=lambda _: ["rax"]).module.functions["loop"]
    cleaned, _ = clean(narrowed(function, ["rax", "rdx"]))
    assert {op.result.type for op in walk(cleaned.body) if op.name == "add" and op.line == 2} == {Type.U32}
    assert with_short_results(cleaned).results[2] is Type.U32
