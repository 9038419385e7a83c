"""One p-code operation after the other, as operations of the IR; and which of them the IR cannot say.

An access to guest memory is an access of ``@memory`` at its linear address plus ``%shift``; its line in the module's source is its instruction.
"""

from __future__ import annotations

from ...ir.model import Memory, Region, Space, Value
from ...ir.types import Type
from . import arithmetic
from .emitter import Emitter
from .pcode import Instruction, PcodeOp, Varnode
from .registers import CELLS, GENERAL, cells_of
from .state import UNSIGNED, State

MEMORY = Memory("memory", Space.BUFFER, Type.U8)
DIVIDE_ERROR, MISALIGNED, WIDE_DIVISION = "divide error", "misaligned access", "division of 128 bits"
"""Reasons of traps: the first two are exceptions of the guest, the third is not lifted."""

_DIVISIONS = {"INT_DIV": "div", "INT_REM": "rem", "INT_SDIV": "div", "INT_SREM": "rem"}
_MOVES = ("COPY", "INT_ZEXT", "INT_SEXT", "SUBPIECE", "PIECE", "LOAD", "STORE")
_BRANCHES = ("BRANCH", "CBRANCH", "BRANCHIND", "CALL", "CALLIND", "RETURN")
_KNOWN = {*_MOVES, *_BRANCHES, *_DIVISIONS, *arithmetic.BINARY, *arithmetic.UNARY}
_WIDE = {
    *_MOVES,
    "INT_NEGATE",
    "INT_AND",
    "INT_OR",
    "INT_XOR",
    "INT_MULT",
    "INT_EQUAL",
    "INT_NOTEQUAL",
    "INT_LEFT",
    "INT_RIGHT",
    *_DIVISIONS,
}
_UNALIGNED = ("movdqu", "movups", "movupd", "lddqu")
_ALIGNED = ("vmovdqa", "vmovaps", "vmovapd", "vmovntdq", "vmovntps", "vmovntpd", "vmovntdqa")
_ORDERED = ("mfence", "lfence", "sfence", "pause", "xchg", "cmpxchg", "clflush", "rdtsc", "hlt")


def refusal(instruction: Instruction) -> str | None:
    """Why an instruction is not lifted; None where it is."""
    if instruction.text.startswith("lock "):
        return "atomic"
    if instruction.mnemonic in _ORDERED and (instruction.mnemonic != "xchg" or _uses_memory(instruction)):
        return "orders memory, or waits"
    for op in instruction.ops:
        if op.name not in _KNOWN:
            return f"p-code {op.function or op.name}"
        for varnode in (*op.inputs, *([op.output] if op.output else [])):
            found = _refused_operand(op, varnode)
            if found:
                return found
    written = {
        (op.output.offset, op.output.size) for op in instruction.ops if op.output and op.output.space == "register"
    }
    if any((CELLS[name].offset, 4) in written and (CELLS[name].offset, 8) not in written for name in GENERAL):
        # A write of 32 bits clears the upper half; where p-code does not say so, it is wrong.
        return "p-code keeps the upper half of a register"
    return None


def _uses_memory(instruction: Instruction) -> bool:
    return any(
        op.name in ("LOAD", "STORE")
        or any(varnode.space == "ram" for varnode in (*op.inputs, *filter(None, [op.output])))
        for op in instruction.ops
        if op.name not in _BRANCHES
    )


def _refused_operand(op: PcodeOp, varnode: Varnode) -> str | None:
    if varnode.size > 8 and (op.name not in _WIDE or varnode.size % 8):
        return f"p-code {op.name} of {varnode.size} bytes"
    if varnode.space in ("register", "unique"):
        for cell, first, size in cells_of(varnode):
            # af is written by much and read by next to nothing, and p-code does not compute it.
            if cell.space == "register" and (not cell.name or (cell == CELLS["af"] and varnode is not op.output)):
                return f"register {cell.name or hex(cell.offset)}"
            if size not in UNSIGNED or (varnode.size > 8 and first):
                return f"p-code {op.name} of {varnode.size} bytes"
    elif varnode.space != "const" and varnode.size not in (*UNSIGNED, 16, 32):
        return f"p-code {op.name} of {varnode.size} bytes"
    return None


class Semantics:
    """Appends what p-code operations do to `emit`; `shift` is added to linear addresses, `head` is where the loop is mapped."""

    def __init__(self, emit: Emitter, shift: Value, head: Value, head_address: int) -> None:
        self._emit, self._shift, self._head, self._head_address = emit, shift, head, head_address
        self.is_storing = False
        """Whether a store was lifted."""

    def address(self, address: int) -> Value:
        """A linear address that moves with the loop."""
        return self._emit.op("add", self._head, self._emit.const(Type.U64, address - self._head_address))

    def run(self, state: State, instruction: Instruction, op: PcodeOp) -> None:
        """One operation that is no branch."""
        if op.name == "STORE":
            self._store(
                instruction,
                self.value(state, instruction, op.inputs[0])[0],
                self.value(state, instruction, op.inputs[1]),
            )
            return
        assert op.output is not None
        if op.name in ("INT_XOR", "INT_SUB") and op.inputs[0] == op.inputs[1] and op.inputs[0].space != "ram":
            parts = self._constant(0, op.output.size)
        else:
            parts = self._result(state, instruction, op, op.output.size)
        if op.output.space == "ram":
            self._store(instruction, self._place(op.output), parts)
        elif op.output.space == "register" and [cell for cell, _, _ in cells_of(op.output)] == [CELLS["af"]]:
            return
        else:
            state.write(op.output, parts)

    def value(self, state: State, instruction: Instruction, varnode: Varnode) -> list[Value]:
        """What an operand holds, in parts of eight bytes."""
        if varnode.space == "const":
            return (
                [self.address(varnode.offset)] if varnode.is_relative else self._constant(varnode.offset, varnode.size)
            )
        if varnode.space == "ram":
            return self._load(instruction, self._place(varnode), varnode.size)
        return state.read(varnode)

    def _constant(self, number: int, size: int) -> list[Value]:
        if size <= 8:
            return [self._emit.const(UNSIGNED.get(size, Type.U64), number)]
        return [self._emit.const(Type.U64, number >> 64 * part) for part in range(size // 8)]

    def _place(self, varnode: Varnode) -> Value:
        return self.address(varnode.offset) if varnode.is_relative else self._emit.const(Type.U64, varnode.offset)

    def _result(self, state: State, instruction: Instruction, op: PcodeOp, size: int) -> list[Value]:
        emit = self._emit
        operands = [self.value(state, instruction, varnode) for varnode in op.inputs]
        if op.name == "LOAD":
            return self._load(instruction, operands[0][0], size)
        if op.name == "COPY":
            return operands[0]
        if op.name in ("INT_ZEXT", "INT_SEXT"):
            return arithmetic.extended(emit, operands[0], size, op.name == "INT_SEXT")
        if op.name == "SUBPIECE":
            return self._piece(operands[0], op.inputs[1].offset, size)
        if op.name == "PIECE":
            return self._joined(op, operands, size)
        if op.name in _DIVISIONS:
            return self._divided(instruction, op, *operands)
        if op.name == "INT_NEGATE" and size > 8:
            return [arithmetic.unary(emit, op.name, part, Type.U64) for part in operands[0]]
        if op.name in arithmetic.UNARY:
            return [arithmetic.unary(emit, op.name, operands[0][0], UNSIGNED[size])]
        if op.inputs[0].size > 8:
            found = arithmetic.wide(emit, op.name, *operands)
            if found is None:
                raise NotImplementedError(f"p-code {op.name} of {op.inputs[0].size} bytes by a count that is not known")
            return found
        return [arithmetic.binary(emit, op.name, operands[0][0], operands[1][0])]

    def _piece(self, parts: list[Value], first: int, size: int) -> list[Value]:
        emit = self._emit
        if size <= 8:
            part = arithmetic.number(emit, parts[first // 8])
            if first % 8:
                part = emit.op("shr", part, emit.const(part.type, 8 * (first % 8)))
            if first % 8 + size > 8:
                high = emit.op("shl", parts[first // 8 + 1], emit.const(Type.U64, 64 - 8 * (first % 8)))
                part = emit.op("or", part, high)
            return [emit.convert(part, UNSIGNED[size])]
        return parts[first // 8 : (first + size) // 8]

    def _joined(self, op: PcodeOp, operands: list[list[Value]], size: int) -> list[Value]:
        emit, low_bytes = self._emit, op.inputs[1].size
        high, low = operands
        if low_bytes % 8 == 0:
            return [*low, *high]
        kind = UNSIGNED[size]
        above = emit.convert(arithmetic.number(emit, high[0]), kind)
        shifted = emit.op("shl", above, emit.const(kind, 8 * low_bytes))
        return [emit.op("or", shifted, emit.convert(arithmetic.number(emit, low[0]), kind))]

    def _divided(self, instruction: Instruction, op: PcodeOp, one: list[Value], other: list[Value]) -> list[Value]:
        """A quotient or remainder; what raises an exception in the guest is a trap here. So is a dividend of more than 64 bits."""
        emit, is_signed = self._emit, op.name in ("INT_SDIV", "INT_SREM")
        a, b = one[0], other[0]
        self._trap_if(instruction, emit.op("eq", b, emit.const(b.type, 0)), DIVIDE_ERROR)
        for parts in (one, other):
            for part in parts[1:]:
                fill = arithmetic.extended(emit, parts[:1], 16, is_signed)[1]
                self._trap_if(instruction, emit.op("ne", part, fill), WIDE_DIVISION)
        if is_signed:
            a, b = emit.signed(a), emit.signed(b)
            if len(one) > 1:
                least = emit.op(
                    "and", emit.op("eq", a, emit.const(a.type, a.type.least)), emit.op("eq", b, emit.const(b.type, -1))
                )
                self._trap_if(instruction, least, DIVIDE_ERROR)
        found = emit.op(_DIVISIONS[op.name], a, b)
        if op.name in ("INT_DIV", "INT_SDIV") and len(one) == 1:
            # The processor's dividend is twice as wide as its quotient.
            half = UNSIGNED[a.type.bytes // 2]
            short = half.signed if is_signed else half
            back = emit.convert(emit.convert(found, short), found.type)
            self._trap_if(instruction, emit.op("ne", back, found), DIVIDE_ERROR)
        result = emit.unsigned(found) if is_signed else found
        return arithmetic.extended(emit, [result], 8 * len(one), is_signed) if len(one) > 1 else [result]

    def _trap_if(self, instruction: Instruction, condition: Value, reason: str) -> None:
        emit = self._emit
        if emit.literal(condition) == 0:
            return
        region = Region()
        with emit.inside(region):
            emit.build.end("trap", text=reason)
        other = Region()
        with emit.inside(other):
            emit.build.end("yield")
        emit.build.branch("if", [condition], [region, other])

    def _load(self, instruction: Instruction, address: Value, size: int) -> list[Value]:
        emit = self._emit
        self._check_alignment(instruction, address, size)
        place = emit.op("add", address, self._shift)
        if size <= 8:
            return [emit.load(MEMORY, place, UNSIGNED[size])]
        return [
            emit.load(MEMORY, emit.op("add", place, emit.const(Type.U64, part)), Type.U64) for part in range(0, size, 8)
        ]

    def _store(self, instruction: Instruction, address: Value, parts: list[Value]) -> None:
        emit = self._emit
        self.is_storing = True
        size = sum(part.type.bytes for part in parts)
        self._check_alignment(instruction, address, size)
        place = emit.op("add", address, self._shift)
        if size > 8:
            # All or nothing, as the guest has it: the last byte is looked at before the first is written.
            emit.load(MEMORY, emit.op("add", place, emit.const(Type.U64, size - 1)), Type.U8)
        for number, part in enumerate(parts):
            at = emit.op("add", place, emit.const(Type.U64, 8 * number)) if number else place
            emit.build.store(MEMORY, at, arithmetic.number(emit, part))

    def _check_alignment(self, instruction: Instruction, address: Value, size: int) -> None:
        word = instruction.mnemonic
        if size > 8 and (word in _ALIGNED if word.startswith("v") else word not in _UNALIGNED):
            emit = self._emit
            low = emit.op("and", address, emit.const(Type.U64, size - 1))
            self._trap_if(instruction, emit.op("ne", low, emit.const(Type.U64, 0)), MISALIGNED)
