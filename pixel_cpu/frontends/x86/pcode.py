"""Machine code as p-code: what pypcode says that each instruction does, as plain records.

An instruction is translated twice, at its address and `_MOVED` bytes further on. What moves with it is relative to it (targets of jumps, return
addresses, operands relative to ``rip``); what stays is a constant. So a loop's meaning does not depend on where it was mapped.

>>> [op.name for op in decode(0x401000, bytes.fromhex("4801d8")).ops][:3]    # add rax, rbx
['INT_CARRY', 'INT_SCARRY', 'INT_ADD']
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from qemu_bridge.trace.analysis.show import disassemble

from ...errors import LiftError, LoopPlace, UsageError

if TYPE_CHECKING:
    import pypcode

_MOVED = 1 << 28
_LONG_MODE = 64
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Varnode:
    """Bytes that an operation reads or writes.

    Attributes:
        space: ``const``, ``register``, ``unique`` (temporaries of an instruction) or ``ram`` (guest memory).
        offset: the constant itself, or where in its space it begins.
        size: bytes.
        is_relative: whether `offset` moves with the instruction.
    """

    space: str
    offset: int
    size: int
    is_relative: bool = False


@dataclass(frozen=True, slots=True)
class PcodeOp:
    """One p-code operation. A branch's target in the space ``const`` counts operations of its own instruction from itself."""

    name: str
    output: Varnode | None
    inputs: tuple[Varnode, ...]
    function: str = ""
    """Of ``CALLOTHER``: which opaque function."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One decoded instruction."""

    address: int
    code: bytes
    text: str
    ops: tuple[PcodeOp, ...]

    @property
    def end(self) -> int:
        """Address of the byte behind it."""
        return (self.address + len(self.code)) & _MASK

    @property
    def mnemonic(self) -> str:
        """Its name without operands and prefixes."""
        words = self.text.split()
        return next((word for word in words if word not in ("lock", "rep", "repe", "repne", "notrack", "bnd")), "")


@cache
def _context() -> pypcode.Context:
    # Optional, and the specification of the processor takes a fifth of a second to load.
    try:
        import pypcode
    except ImportError:
        raise UsageError("machine code is lifted by the package pypcode; install glassbox-qemu[learn]") from None
    return pypcode.Context("x86:LE:64:default")


def decode(address: int, code: bytes) -> Instruction:
    """The instruction at `address`, whose bytes are `code`; `LiftError` if it is none, or not one alone; `UsageError` without pypcode."""
    (text, *others) = disassemble(code, address, _LONG_MODE)
    if others or text.startswith(".byte"):
        raise LiftError("is no instruction of 64-bit mode", LoopPlace(address, code.hex(" ")))
    here, moved = (_translate(at, code, text, address) for at in (address, (address + _MOVED) & _MASK))
    if len(here) != len(moved):
        raise LiftError("means something else at another address", LoopPlace(address, text))
    return Instruction(address, code, text, tuple(_op(*pair, address, text) for pair in zip(here, moved, strict=True)))


def _translate(at: int, code: bytes, text: str, address: int) -> list[Any]:
    context = _context()  # says what to do without it
    import pypcode

    try:
        ops = list(context.translate(code, base_address=at, max_instructions=1).ops)
    except (pypcode.BadDataError, pypcode.UnimplError, pypcode.LowlevelError) as error:
        raise LiftError(f"pypcode does not know it ({error})", LoopPlace(address, text)) from None
    if not ops or ops[0].opcode.name != "IMARK" or ops[0].inputs[0].size != len(code):
        raise LiftError("pypcode takes it for another instruction", LoopPlace(address, text))
    return ops[1:]


def _op(here: Any, moved: Any, address: int, text: str) -> PcodeOp:  # noqa: ANN401  # pypcode's own classes
    name = here.opcode.name
    if name != moved.opcode.name or len(here.inputs) != len(moved.inputs):
        raise LiftError("means something else at another address", LoopPlace(address, text))
    # The first operand of these names a space, or a function.
    hidden = 1 if name in ("LOAD", "STORE", "CALLOTHER") else 0
    inputs = tuple(
        _varnode(*pair, address, text) for pair in zip(here.inputs[hidden:], moved.inputs[hidden:], strict=True)
    )
    output = None if here.output is None else _varnode(here.output, moved.output, address, text)
    function = here.inputs[0].getUserDefinedOpName() if name == "CALLOTHER" else ""
    return PcodeOp(name, output, inputs, function)


def _varnode(here: Any, moved: Any, address: int, text: str) -> Varnode:  # noqa: ANN401  # pypcode's own classes
    space, distance = here.space.name, (moved.offset - here.offset) & _MASK
    if space not in ("const", "ram") or not distance:
        return Varnode(space, here.offset, here.size)
    if distance != _MOVED:
        raise LiftError("means something else at another address", LoopPlace(address, text))
    return Varnode(space, here.offset, here.size, is_relative=True)
