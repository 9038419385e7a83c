"""Steps of one function on registers: where the values of the stack are, and steps that take and give them.

The register of a local is its cell of the frame, that of a place of the stack the cell of that place. While a value is on the stack it may
still be in the local it came from, or be a constant: it is put into its own cell before code that others come to, or before the local is set.
"""

from __future__ import annotations

from dataclasses import dataclass

from .frames import HEAD
from .numeric import NUMERIC
from .steps import NUMBER


@dataclass(frozen=True, slots=True)
class Const:
    """A constant by its bits."""

    bits: int


Held = int | Const
"""A register, or a constant."""


class Registers:
    """Appends steps to `code`, and for each the byte of the file that it is from to `offsets`."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int, int]] = []
        self.offsets: list[int] = []
        self.offset = 0
        self.stack: list[Held] = []
        self.stack_at = HEAD
        """The cell of the lowest value of the stack."""
        self.producer = -1
        """The step that computed the topmost value, where nothing came in between."""

    def emit(self, name: str, to: int = 0, a: int = 0, b: int = 0, more: int = 0) -> int:
        """Append a step; gives its place."""
        self.code.append((NUMBER[name], to, a, b, more & 0xFFFFFFFFFFFFFFFF))
        self.offsets.append(self.offset)
        return len(self.code) - 1

    def patch(self, place: int) -> None:
        """Let a step go to the end of the code."""
        step, to, a, b, more = self.code[place]
        self.code[place] = step, to, a, b, more & ~0xFFFFFFFF | len(self.code)

    def slot(self, place: int) -> int:
        """The cell of a place of the stack."""
        return self.stack_at + place

    def settle(self, place: int) -> int:
        """Put a value of the stack into its own cell."""
        held, own = self.stack[place], self.slot(place)
        if held != own:
            if isinstance(held, Const):
                self.emit("const", own, more=held.bits)
            else:
                self.emit("move", own, held)
            self.stack[place] = own
        return own

    def settle_stack(self) -> None:
        """Put all values of the stack into their own cells."""
        for place in range(len(self.stack)):
            self.settle(place)

    def settle_all(self) -> None:
        """As `settle_stack`, where other code comes to."""
        self.settle_stack()
        self.producer = -1

    def register(self) -> int:
        """Pop a value; the register it is in."""
        if isinstance(self.stack[-1], Const):
            self.settle(len(self.stack) - 1)
        found = self.stack.pop()
        assert isinstance(found, int)
        return found

    def produce(self, name: str, a: int = 0, b: int = 0, more: int = 0) -> None:
        """Append a step that computes a value, and push it."""
        own = self.slot(len(self.stack))
        self.producer = self.emit(name, own, a, b, more)
        self.stack.append(own)

    def numeric(self, name: str, count: int) -> None:
        """An instruction on numbers with so many operands."""
        if count == 1:
            self.produce(name, self.register())
            return
        second = self.stack[-1]
        if isinstance(second, Const):
            self.stack.pop()
            first = self.register()
            self.produce(f"{name}.const", first, 0, second.bits)
        else:
            second = self.register()
            self.produce(name, self.register(), second)

    def set_local(self, number: int) -> None:
        """Pop a value into a local; where the last step computed it, that sets the local."""
        own = HEAD + number
        held = self.stack.pop()
        for place, each in enumerate(self.stack):
            if each == own:
                self.settle(place)
        if held == own:
            return
        last = len(self.code) - 1
        if isinstance(held, Const):
            self.emit("const", own, more=held.bits)
        elif self.producer == last and self.code[last][1] == held == self.slot(len(self.stack)):
            step, _, a, b, more = self.code[last]
            self.code[last] = step, own, a, b, more
        else:
            self.emit("move", own, held)
        self.producer = -1

    def pop_condition(self) -> tuple[str, int, int, int]:
        """A condition as a step without its place, with the comparison that made it, if that was the last step."""
        last = len(self.code) - 1
        held = self.stack[-1]
        if self.producer == last >= 0 and held == self.slot(len(self.stack) - 1):
            number, to, a, b, more = self.code[last]
            name = _BY_NUMBER[number]
            if to == held and name in _COMPARISONS:
                is_const = name.endswith(".const")
                low = more - (1 << 64) if more >> 63 else more
                if name.startswith("i32") and is_const:
                    low = more - (1 << 32) if more >> 31 else more
                if not is_const or -(1 << 31) <= low < 1 << 31:
                    self.code.pop()
                    self.offsets.pop()
                    self.stack.pop()
                    return name, a, b, low & 0xFFFFFFFF if is_const else 0
            if to == held and name in ("i32.eqz",):
                self.code.pop()
                self.offsets.pop()
                self.stack.pop()
                return "eqz", a, 0, 0
        return "", self.register(), 0, 0

    def conditional(self, condition: tuple[str, int, int, int], *, is_wanted: bool, target: int = 0) -> int:
        """Append a branch on a condition."""
        name, a, b, low = condition
        self.producer = -1
        if not name or name == "eqz":
            return self.emit("if" if is_wanted != (name == "eqz") else "unless", 0, a, 0, target)
        stem = name.removesuffix(".const")
        way = ".if" if is_wanted else ".unless"
        return self.emit(f"{stem}{way}{name.removeprefix(stem)}", 0, a, b, low << 32 | target)

    def bring(self, count: int, first: int) -> None:
        """Put the topmost values into registers from `first` on, which lie below their own."""
        stack = list(self.stack)
        top = len(stack) - count
        if count > 1:
            for place in range(top, len(stack)):
                self.settle(place)
        for place in range(count):
            held = self.stack[top + place]
            if isinstance(held, Const):
                self.emit("const", first + place, more=held.bits)
            elif held != first + place:
                self.emit("move", first + place, held)
        self.stack = stack
        self.producer = -1


_BY_NUMBER = {number: name for name, number in NUMBER.items()}
_COMPARISONS = frozenset(
    each for name in NUMERIC for each in (name, f"{name}.const") if each in NUMBER and f"{name}.if" in NUMBER
)
