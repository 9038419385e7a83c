"""The errors of kernels.

They belong to the tree in `qemu_bridge.errors`::

    GlassBoxError
    ├── UsageError
    │   ├── SourceError       a text that is no kernel: file, line, column, the line itself with a caret
    │   ├── IrError           a program that the verifier refuses: names the operation and the rule
    │   ├── LaunchError       arguments that do not fit the kernel's parameters
    │   ├── WasmError         a module of WebAssembly that breaks a rule or needs what is not supported: the rule, the byte
    │   └── LiftError         machine code that has no meaning in the IR: names the instruction and why
    │       └── IrreducibleError  a loop inside that is entered at more than one place
    ├── HostError
    │   └── DeviceError       a device that is missing, lacks a feature, or was lost
    └── GlassBoxError
        ├── TrapError         a lane ended by a trap: the lane, the reason, the line
        └── LimitError        a launch exceeded its time or memory
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qemu_bridge.errors import GlassBoxError as GlassBoxError
from qemu_bridge.errors import HostError
from qemu_bridge.errors import UsageError as UsageError
from qemu_bridge.host.printable import printable


class SourceError(UsageError):
    """A text that is no kernel. `line` and `column` count from 1; `others` are further errors of the same text."""

    def __init__(
        self,
        message: str,
        *,
        line: int,
        column: int,
        text: str = "",
        file: str = "",
        others: Sequence[SourceError] = (),
    ) -> None:
        self.message, self.line, self.column, self.text, self.file = message, line, column, text, file
        self.others = tuple(others)
        place = f"{file or 'line'}{':' if file else ' '}{line}:{column}"
        own = "\n".join((f"{place}: {_printable(message)}", *_caret(text, column)))
        super().__init__("\n".join((own, *map(str, self.others))))


_SHOWN = 100
"""Characters of a line that an error shows."""


def _caret(text: str, column: int) -> tuple[str, ...]:
    """The line, or the part of a long one around the column, and a caret below it."""
    if not text:
        return ()
    first = max(0, min(column - 1 - _SHOWN // 2, len(text) - _SHOWN)) if len(text) > _SHOWN else 0
    # Tabs stay, so that the caret stands where the terminal draws the character above it.
    shown = _printable(text[first : first + _SHOWN])
    indent = "".join("\t" if character == "\t" else " " for character in shown[: column - 1 - first])
    return (f"  {'…' if first else ''}{shown}", f"  {' ' if first else ''}{indent}^")


def _printable(text: str) -> str:
    """A text that a terminal shows and obeys in nothing; tabs stay, as a caret stands below."""
    return "\t".join(map(printable, text.split("\t")))


class IrError(UsageError):
    """A program that breaks a rule of the IR: `text` says how, `rule` names the rule of the verifier.

    `unit` is the ``kernel k`` or ``function f`` it is in, `op` the operation and `line` its line of the source, where they are known.
    """

    def __init__(self, text: str, *, unit: str = "", op: str = "", line: int | None = None, rule: str = "") -> None:
        self.text, self.unit, self.op, self.line, self.rule = text, unit, op, line, rule
        place = f"{op}{f' (line {line})' if line else ''}" if op else ""
        super().__init__(": ".join(filter(None, (unit, place, rule, text))))


class WasmError(UsageError):
    """A module of WebAssembly that is malformed, invalid, or needs what is not supported.

    `rule` says which rule it breaks, in the specification's words, `offset` at which byte, `function` in which function, `file` in
    which file, where they are known.
    """

    def __init__(self, rule: str, offset: int | None = None, *, function: str = "", file: str = "") -> None:
        self.rule, self.offset, self.function, self.file = rule, offset, function, file
        place = ("" if offset is None else f"byte {offset:#x}") + (f" in {printable(function)}" if function else "")
        super().__init__(": ".join(filter(None, (file, place.strip(), printable(rule)))))


class LaunchError(UsageError):
    """Arguments that do not fit a kernel."""


@dataclass(frozen=True, slots=True)
class LoopPlace:
    """An instruction of a guest, by linear address and text."""

    address: int
    text: str

    def __str__(self) -> str:
        return f"{self.address:#x}: {printable(self.text)}"


class LiftError(UsageError):
    """Machine code that is not lifted: `text` says why, `place` which instruction it is about, if it is about one."""

    def __init__(self, text: str, place: LoopPlace | None = None) -> None:
        self.text, self.place = text, place
        super().__init__(f"{place}: {text}" if place else text)


class IrreducibleError(LiftError):
    """A loop with a loop inside that is entered at more than one place; `place` is the one that is not around all of it."""


class DeviceError(HostError):
    """A device that is missing, lacks what a kernel needs, or was lost."""


class TrapError(GlassBoxError):
    """A lane ended by a trap; `lane` is the lowest one, `reason` why, `line` where in the kernel's source."""

    def __init__(self, kernel: str, lane: int, reason: str, line: int | None) -> None:
        self.kernel, self.lane, self.reason, self.line = kernel, lane, reason, line
        super().__init__(f"kernel {kernel}, lane {lane}{f', line {line}' if line else ''}: {reason}")


class LimitError(GlassBoxError):
    """A launch that exceeded its time or memory, and was ended."""
