"""x86-64 machine code: a loop of a guest becomes a program of the IR."""

from .lift import LiftedLoop, LoopExit, MachineLoop, lift

__all__ = ["LiftedLoop", "LoopExit", "MachineLoop", "lift"]
