"""Cleaned kernels: smaller, and the same when they are run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compiled_loops import CLASSES, compiled_loop
from x86_loops import CRC32, machine_loop, run

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.frontends.x86.registers import CELLS, GENERAL
from pixel_cpu.ir.model import Module, walk
from pixel_cpu.ir.verifier import verify
from pixel_cpu.learn.clean import clean


def cleaned(lifted):
    kernel, _ = clean(lifted.module.functions["loop"])
    return replace(lifted, module=verify(Module(lifted.module.kernels, {"loop": kernel}, lifted.module.source)))


def names(function, *wanted):
    return [op.name for op in walk(function.body) if op.name in wanted]


@pytest.mark.parametrize("name", CLASSES)
def test_a_cleaned_kernel_does_the_same(name):
    lifted = lift(compiled_loop(name, "-O1"), live_at=lambda _: GENERAL)
    chance = np.random.default_rng(7)
    memory = chance.bytes(2048)
    for limit in (1, 6):
        for state in [{each: int(chance.integers(0, 900)) & ~7 for each in lifted.live_in} for _ in range(2)]:
            one, other = (run(each, [state], memory, limit=limit, fuel=400) for each in (lifted, cleaned(lifted)))
            (row, bytes_, outcome), (same_row, same_bytes, same_outcome) = one, other
            assert outcome.traps == same_outcome.traps
            if not outcome.traps:
                assert row == same_row and bytes_ == same_bytes


def test_what_is_read_twice_is_loaded_once_and_what_was_stored_is_known():
    # mov eax, [rsi]; add eax, [rsi]; mov [rdi], eax; add eax, [rdi]; add eax, [rsi]; dec rcx; jnz head
    loop = machine_loop("8b06", "0306", "8907", "0307", "0306", "48ffc9", "75f1")
    function = lift(loop, live_at=lambda _: ("rax",)).module.functions["loop"]
    assert len(names(function, "load")) > 4
    # What rsi says may be what rdi wrote.
    assert names(clean(function)[0], "load", "store") == ["load", "store", "load"]


def test_a_place_that_is_a_constant_away_keeps_what_it_holds():
    # mov eax, [rsi]; mov [rsi + 4], eax; add eax, [rsi]; add eax, [rsi + 2]; dec rcx; jnz head
    loop = machine_loop("8b06", "894604", "0306", "034602", "48ffc9", "75f1")
    function = lift(loop, live_at=lambda _: ("rax",)).module.functions["loop"]
    assert names(clean(function)[0], "load", "store") == ["load", "store", "load"]


def test_a_part_of_a_register_does_not_need_the_rest():
    # mov ax, [rsi]; add ax, 3; mov [rsi], ax; add rsi, 2; cmp rsi, rdx; jne head
    loop = machine_loop("668b06", "6683c003", "668906", "4883c602", "4839d6", "75ed")
    function = lift(loop, live_at=lambda _: ()).module.functions["loop"]
    kernel, _ = clean(function)
    (store,) = [op for op in walk(kernel.body) if op.name == "store"]
    made = {value: op for op in walk(kernel.body) for value in op.results}
    assert [made[value].name for value in made[store.operands[1]].operands] == ["load", "const"]


def test_a_parameter_that_nobody_reads_is_left_out():
    lifted = lift(CRC32, live_at=lambda _: ("rax", "rsi"))
    kernel, kept = clean(lifted.module.functions["loop"])
    (loop,) = [op for op in walk(kernel.body) if op.name == "loop"]
    assert kept[0] == tuple(range(len(loop.regions[0].parameters)))
    assert CELLS["rax"] and len(loop.operands) == len(loop.regions[0].parameters)
