"""A loop's own machine code, run on this host: what lanes are compared with.

It stands in a shared library as it stood in the guest, with a jump out at each exit. Only for loops of a guest that one trusts: nothing bounds
what it does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from pixel_cpu.backends.lane_c.compiler import load
from pixel_cpu.errors import LiftError
from pixel_cpu.frontends.x86 import LiftedLoop, MachineLoop
from pixel_cpu.frontends.x86.registers import GENERAL

COLUMNS = 16
"""Registers of a lane, in the processor's order."""
_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_JUMP_BYTES = 5
_LONGEST = 1 << 16


def native(lifted: LiftedLoop) -> ctypes._NamedFuncPointer:
    """``run(states, lanes)``: goes through the loop until it is left, for each row of `COLUMNS` registers. Raises `LiftError` where it does not fit."""
    run = load("\n".join(_source(lifted)), "-O2").gb_native
    run.argtypes, run.restype = (ctypes.c_void_p, ctypes.c_uint64), None
    return run


def _source(lifted: LiftedLoop) -> Iterator[str]:
    yield 'asm(".text\\n"'
    yield from (
        f'"{line}\\n"' for line in (*_enter(), *_code(lifted.machine_loop, [each.address for each in lifted.exits]))
    )
    yield '".data\\n.balign 64\\ngb_context: .quad 0\\ngb_stack: .quad 0\\ngb_first: .quad 0\\n.text\\n");'
    yield "extern void gb_enter(unsigned long *);"
    yield "void gb_native(unsigned long *states, unsigned long lanes) {"
    yield f"  for (unsigned long i = 0; i < lanes; i++) gb_enter(states + {COLUMNS} * i); }}"


def _enter() -> Iterator[str]:
    yield "gb_enter:"
    yield from (f"push %{name}" for name in _SAVED)
    yield from ("mov %rsp, gb_stack(%rip)", "mov %rdi, gb_context(%rip)", "cld")
    for place, name in enumerate(GENERAL):
        if name not in ("rdi", "rsp"):
            yield f"mov {8 * place}(%rdi), %{name}"
    yield from (
        f"mov {8 * GENERAL.index('rsp')}(%rdi), %rsp",
        f"mov {8 * GENERAL.index('rdi')}(%rdi), %rdi",
        "jmp gb_head",
    )
    yield from ("gb_leave:", "mov %rax, gb_first(%rip)", "mov gb_context(%rip), %rax")
    for place, name in enumerate(GENERAL):
        if name != "rax":
            yield f"mov %{name}, {8 * place}(%rax)"
    yield from ("mov gb_first(%rip), %rcx", "mov %rcx, (%rax)", "mov gb_stack(%rip), %rsp")
    yield from (f"pop %{name}" for name in reversed(_SAVED))
    yield "ret"


def _code(code: MachineLoop, exits: list[int]) -> Iterator[str]:
    """The instructions where they were, seen from the head."""
    pieces = {at: each for at, each in code.instructions.items()}
    places = sorted({*pieces, *exits})
    if places[-1] - places[0] > _LONGEST or code.indirect:
        raise LiftError("its code lies far apart")
    ends = {at: at + (len(pieces[at]) if at in pieces else _JUMP_BYTES) for at in places}
    yield ".balign 64, 0xcc"
    at = places[0]
    for place, after in zip(places, [*places[1:], ends[places[-1]]], strict=True):
        if ends[place] > after:
            raise LiftError("there is no room for a jump at an exit")
        yield from [f".skip {place - at}, 0xcc"] * (place > at)
        yield from ["gb_head:"] * (place == code.head)
        if place in pieces:
            yield f".byte {', '.join(map(str, pieces[place]))}"
        else:
            yield ".byte 0xe9; .long gb_leave - . - 4"
        at = ends[place]
