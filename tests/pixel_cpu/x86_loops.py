"""Loops in machine code, made here, and runs of what they are lifted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pixel_cpu.backends import reference
from pixel_cpu.backends.launch import Launch, Outcome, check
from pixel_cpu.backends.reference import evaluate
from pixel_cpu.frontends.x86 import LiftedLoop, MachineLoop
from pixel_cpu.frontends.x86.flow import Flow
from pixel_cpu.frontends.x86.lift import FIRST_COLUMN
from pixel_cpu.frontends.x86.pcode import decode
from pixel_cpu.ir.model import Region, Value

HEAD = 0x401000


def machine_loop(*code: str, head: int = HEAD, indirect: Mapping[int, tuple[int, ...]] | None = None) -> MachineLoop:
    """Instructions in hexadecimal, one behind the other."""
    instructions, at = {}, head
    for text in code:
        instructions[at] = bytes.fromhex(text)
        at += len(instructions[at])
    return MachineLoop(head, instructions, indirect or {})


CRC32 = machine_loop(
    *("4839d6", "7414"),  # cmp rsi, rdx; je end
    *("408a3e", "48ffc6"),  # mov dil, [rsi]; inc rsi
    *("31c7", "c1e808", "400fb6ff"),  # xor edi, eax; shr eax, 8; movzx edi, dil
    *("3304b9", "ebe7"),  # xor eax, [rcx + rdi*4]; jmp head
)
"""The table-driven checksum of a buffer from rsi to rdx, into eax, with the table at rcx."""
SUM_OF_SQUARES = machine_loop(
    *("89fe", "0faff7", "01f0"),  # mov esi, edi; imul esi, edi; add eax, esi
    *("ffcf", "75f5"),  # dec edi; jnz head
)


def run(
    lifted: LiftedLoop,
    states: Sequence[Mapping[str, int]],
    memory: bytes = b"",
    *,
    limit: int = 1 << 40,
    base: int = 0,
    make: object = reference.compile_kernel,
    fuel: int = 1 << 30,
) -> tuple[list[dict[str, int]], bytes, Outcome]:
    """Registers after the loop of each lane, with ``rounds`` and ``next``, and the memory that all of them share, mapped at `base`."""
    columns = lifted.columns
    rows = np.zeros((len(states), FIRST_COLUMN + len(columns)), np.uint64)
    for row, state in zip(rows, states, strict=True):
        row[:] = np.array([limit, -base % (1 << 64), *(state.get(name, 0) for name in columns)], np.uint64)
    flat, window = rows.reshape(-1).copy(), np.frombuffer(memory or b"\0", np.uint8).copy()
    launch = Launch(len(states), 32, {"head": lifted.machine_loop.head}, {"memory": window, "state": flat}, fuel=fuel)
    outcome = make(lifted.module, "batch").run(check(lifted.module.kernels["batch"], launch))
    names = ("rounds", "next", *columns)
    return [dict(zip(names, row.tolist(), strict=True)) for row in flat.reshape(rows.shape)], window.tobytes(), outcome


def flow_of(loop: MachineLoop) -> Flow:
    """The control flow of a loop whose instructions are all lifted."""
    return Flow(loop.head, {at: decode(at, code) for at, code in loop.instructions.items()}, loop.indirect)


def calculate(region: Region, values: dict[Value, np.ndarray]) -> dict[Value, np.ndarray]:
    """What each value of a region is, from the table of operations."""
    for op in region.operations:
        if op.name == "const":
            found = np.array([op.literal], op.result.type.dtype)
        else:
            operands = [values[operand] for operand in op.operands]
            found = evaluate(op.name, operands, op.result.type)
        values[op.result] = found
    return values
