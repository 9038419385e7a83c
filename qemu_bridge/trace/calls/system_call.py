"""A system call as a trace has it: `SystemCall`, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tcg_plugin.layout import Gate

from .processes import Running
from .table import Call

LARGEST_ERROR = 4095
"""Results from its negative up to -1 are errors."""


class Outcome(StrEnum):
    """How a call ended."""

    RETURNED = "returned"
    NO_RETURN = "no-return"
    """It never returns: the process or thread ended, or a signal's handler did."""
    RESTARTED = "restarted"
    """Interrupted, and then made again from the beginning."""
    OPEN = "open"
    """It had not returned when the recording ended, or where a part is missing."""
    BEGAN_BEFORE = "began-before"
    """Only its return was recorded: number and arguments are not known."""


@dataclass(slots=True)
class SystemCall:
    """One system call.

    Attributes:
        call: its name and kinds of arguments; None if it began before the recording.
        number: as the program gave it.
        gate: how the kernel was entered.
        arguments: as many as it has, as registers held them; 32 bits each of a 32-bit program.
        texts: by argument, what it pointed to, and whether there was more of it.
        result: signed; None if it did not return.
        outcome: how it ended.
        time_ns: CLOCK_REALTIME when it began, or, if it began before, when it returned.
        duration_ns: until it returned; None if it did not.
        instruction: of its vCPU, from the trace's beginning.
        instructions: that its vCPU executed until it returned, whoever they were of; None if it returned on another or not.
        address: of the instruction behind it, where it returned to; None if it did not.
        vcpu: where it began.
        root: page-table root of its process.
        process: who made it.
    """

    call: Call | None
    number: int
    gate: Gate
    arguments: tuple[int, ...]
    texts: dict[int, tuple[bytes, bool]]
    time_ns: int
    instruction: int
    vcpu: int
    root: int
    process: Running
    result: int | None = None
    outcome: Outcome = Outcome.OPEN
    duration_ns: int | None = None
    instructions: int | None = None
    address: int | None = None

    @property
    def name(self) -> str:
        """Its name; ``?`` if it began before the recording."""
        return self.call.name if self.call else "?"

    @property
    def is_error(self) -> bool:
        """Whether it returned an error."""
        return self.result is not None and -LARGEST_ERROR <= self.result < 0
