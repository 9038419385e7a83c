"""Loops of a library without a trace."""

from __future__ import annotations

from dataclasses import replace

from pixel_cpu.frontends.x86 import MachineLoop, lift
from pixel_cpu.frontends.x86.registers import GENERAL
from pixel_cpu.learn.clean import clean
from pixel_cpu.learn.loop_library import LearnedLoop
from pixel_cpu.learn.mine import GuestLoop
from pixel_cpu.learn.study import _with


def learned(code: MachineLoop, live=GENERAL) -> LearnedLoop:
    """A loop as a library has it, with its cleaned program, which tests of `prove` are about."""
    lifted = lift(code, live_at=lambda _: live)
    kernel, _ = clean(lifted.module.functions["loop"])
    lifted = replace(lifted, module=_with(lifted.module, kernel))
    size = len(code.instructions)
    found = GuestLoop(code.head, "", 0, "", 3, 0, 0, 0, 0.0, size, lifted.live_in, lifted.live_out, lifted=lifted)
    return LearnedLoop("loop", found, {"verdict": "proved"})
