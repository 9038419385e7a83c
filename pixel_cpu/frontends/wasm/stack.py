"""The two stacks of the specification's algorithm: operands' types, and the blocks that are open."""

from __future__ import annotations

from ...errors import WasmError
from .module import FunctionType, Instruction
from .opcodes import ValueType
from .reader import Reader

_UNKNOWN = ValueType.UNKNOWN


class Frame:
    """A block that is open: what it takes and gives, the height of the stack below, whether the code here is reached."""

    __slots__ = ("begin", "height", "is_dead", "name", "type")

    def __init__(self, name: str, type: FunctionType, height: int, begin: int) -> None:
        self.name, self.type, self.height, self.begin = name, type, height, begin
        self.is_dead = False

    @property
    def label(self) -> tuple[ValueType, ...]:
        """What a branch to it brings."""
        return self.type.parameters if self.name == "loop" else self.type.results


class Stacks:
    """Types of a function's operands and its open blocks; each rule that is broken is an error at the current instruction."""

    def __init__(self, part: Reader, results: tuple[ValueType, ...]) -> None:
        self.part, self.offset = part, part.offset
        self.stack: list[ValueType] = []
        self.frames = [Frame("function", FunctionType((), results), 0, -1)]
        self.instructions: list[Instruction] = []
        self._steps = 16 * len(part.data) + 10_000

    def fail(self, rule: str) -> WasmError:
        """An error at the instruction that is checked."""
        return self.part.malformed(rule, self.offset)

    def pop(self, wanted: ValueType = _UNKNOWN) -> ValueType:
        """Take a type from the stack, which is `wanted` or unknown."""
        frame, stack = self.frames[-1], self.stack
        if len(stack) == frame.height:
            if frame.is_dead:
                return wanted
            raise self.fail(f"type mismatch: nothing on the stack where {wanted!r} is wanted")
        found = stack.pop()
        if found is not wanted and found is not _UNKNOWN and wanted is not _UNKNOWN:
            raise self.fail(f"type mismatch: {found!r} where {wanted!r} is wanted")
        return found

    def pop_all(self, wanted: tuple[ValueType, ...]) -> None:
        """Take types from the stack, the last one from its top."""
        frame = self.frames[-1]
        first = max(len(self.stack) - len(wanted), frame.height)
        own = tuple(self.stack[first:])
        # Long lists are compared at once: a few bytes can ask for a thousand.
        if own == wanted[len(wanted) - len(own) :] and (frame.is_dead or len(own) == len(wanted)):
            del self.stack[first:]
            return
        # One by one is for errors and for code that is not reached; more of it than the bytes can want is somebody's attack.
        self._steps -= len(wanted)
        if self._steps < 0:
            raise self.fail("too much code that is not reached, which is not supported")
        for each in reversed(wanted):
            self.pop(each)

    def leave(self) -> None:
        """What follows is not reached."""
        frame = self.frames[-1]
        del self.stack[frame.height :]
        frame.is_dead = True

    def check_branch(self, wanted: tuple[ValueType, ...]) -> None:
        """Check that the stack has what a branch brings, and leave it so, with the types that it stands for."""
        self.pop_all(wanted)
        self.stack.extend(wanted)

    def open(self, name: str, kind: FunctionType) -> None:
        """Open a block."""
        self.pop_all(kind.parameters)
        self.frames.append(Frame(name, kind, len(self.stack), len(self.instructions) - 1))
        self.stack.extend(kind.parameters)

    def close(self) -> Frame:
        """Close the innermost block, whose results are on the stack, and take them."""
        frame = self.frames[-1]
        self.pop_all(frame.type.results)
        if len(self.stack) != frame.height:
            raise self.fail(
                f"type mismatch: {len(self.stack) - frame.height} more values on the stack than the block gives"
            )
        return self.frames.pop()

    def frame(self, depth: int) -> Frame:
        """The block that a label means."""
        if depth >= len(self.frames):
            raise self.fail(f"unknown label {depth}")
        return self.frames[-1 - depth]
