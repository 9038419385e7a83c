"""What goes into a launch and what comes out, the same for every back end."""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from ..errors import LaunchError, TrapError
from ..ir.bits import from_bits
from ..ir.limits import MAX_GROUP, MAX_LANES, MAX_LENGTH
from ..ir.model import Kernel, Memory, Op
from ..ir.types import Type

DEFAULT_FUEL = 1 << 30
"""Ways round loops that a lane may go, unless the launch states another number."""
_MOST_FUEL = 1 << 62
"""More is as much as this: no lane lives long enough to burn it."""
_F32_ENDS = 2.0**128 - 2.0**103
"""From here on rounding to f32 gives infinity."""
PRINTED_LINES = 10_000
"""Lines that a launch prints, at most; the rest is counted."""
OUT_OF_FUEL = "out of fuel"
"""Why a lane ends that has no fuel for one more round of a loop."""

Array = np.ndarray[Any, np.dtype[Any]]
HostFunction = Callable[..., Sequence[Any]]
"""Called with the lane's number and the operands; gives the results."""


@dataclass
class Part:
    """Lanes of a launch that one run does: whole groups, or what a back end takes at once, from lane `first` to `last` (None: all).

    It ends before that after `budget_ns` of wall time (0: no limit), or when the word of memory `stop`, an array of one u32, is not 0: on a back
    end that can, between two groups, after one of them at least. `Outcome.next_lane` says where the next part begins, so that
    parts that follow each other do every lane once.
    """

    first: int = 0
    last: int | None = None
    budget_ns: int = 0
    stop: Array | None = None

    def units(self, lanes: int, lanes_of_unit: int) -> tuple[int, int]:
        """The first unit of so many lanes that it does, and the one after the last."""
        last = lanes if self.last is None else min(self.last, lanes)
        return -(-self.first // lanes_of_unit), -(-last // lanes_of_unit)


@dataclass
class Launch:
    """One run of a kernel over `lanes` lanes in groups of `group`; the last group may be smaller.

    `scalars` and `buffers` are by parameter name; buffers are one-dimensional, contiguous and changed in place. `fuel` is the
    number of ways round loops that each lane may go.
    """

    lanes: int
    group: int
    scalars: Mapping[str, int | float | bool] = field(default_factory=dict)
    buffers: Mapping[str, np.ndarray[Any, np.dtype[Any]]] = field(default_factory=dict)
    fuel: int = DEFAULT_FUEL
    printed_lines: int = PRINTED_LINES
    host_functions: Mapping[str, HostFunction] = field(default_factory=dict)
    wants_traps: bool = False
    """Whether the outcome has the trap of every lane, where the back end can say it."""
    part: Part | None = None
    """The lanes that this run does; None: all."""

    @property
    def groups(self) -> int:
        """Groups of the launch."""
        return -(-self.lanes // self.group)


@dataclass
class Counters:
    """What a launch did, summed over lanes; counts of groups where the comment says so.

    A back end that runs a group in parts counts its parts there.
    """

    instructions: int = 0
    loads: int = 0
    stores: int = 0
    bytes_loaded: int = 0
    bytes_stored: int = 0
    branches: int = 0
    """Branches, a group each."""
    divergent: int = 0
    """Of them those whose lanes took more than one way."""
    barriers: int = 0
    """Barriers, a group each."""
    slots: int = 0
    """Instructions that there was room for: those of the program, times the lanes that run in step."""

    @property
    def utilisation(self) -> float:
        """Share of the slots in which a lane did something; 1 where none were counted."""
        return self.instructions / self.slots if self.slots else 1.0


@dataclass(frozen=True)
class Trap:
    """How a lane ended before its time: why, and the line of the kernel's source."""

    lane: int
    reason: str
    line: int | None


@dataclass(frozen=True)
class PrintedLine:
    """A line that a lane printed."""

    lane: int
    text: str


@dataclass(frozen=True)
class Span:
    """A stretch of a launch's work, by whom: `track` names a thread or a queue. Spans of a track follow one another or lie inside each other.

    Times are nanoseconds of the monotonic clock, which all processes of a host share. `lanes` are the first one that it ran and the
    one after the last; None where it ran none. `processor` is the one at its end, where that is known.
    """

    track: str
    name: str
    begin_ns: int
    end_ns: int
    lanes: tuple[int, int] | None = None
    processor: int | None = None


@dataclass(frozen=True)
class Sample:
    """What a launch had counted by a moment: sums from its start on, and the lanes that had ended by a trap."""

    time_ns: int
    counters: Counters
    traps: int


@dataclass(frozen=True)
class Timeline:
    """What one launch of `kernel` did when; samples are in order of time. `dropped` are spans that were too many to keep."""

    kernel: str
    begin_ns: int
    end_ns: int
    spans: tuple[Span, ...]
    samples: tuple[Sample, ...] = ()
    dropped: int = 0


@dataclass
class Outcome:
    """How a launch ended. `backend` names what really ran it; `trap` is that of the lowest lane, `traps` how many lanes ended so."""

    backend: str
    trap: Trap | None
    traps: int
    counters: Counters | None
    printed: tuple[PrintedLine, ...] = ()
    prints_dropped: int = 0
    """Lines beyond those that the launch may print."""
    seconds: float = 0.0
    build_seconds: float = 0.0
    """Of compiling, where this launch was the first of its kind; not part of `seconds`."""
    device_seconds: float | None = None
    """What the device's own clock says of the run; None where it has none."""
    timeline: Timeline | None = None
    """What it did when, where the device was opened with ``timeline=True``."""
    next_lane: int | None = None
    """Of a run of a `Part` the lane that the next one begins with; None where the last lane has run."""

    every_trap: tuple[Trap, ...] = ()
    """Of all lanes that ended so, for a launch that `wants_traps`; empty where the back end knows the lowest alone."""

    def raise_trap(self, kernel: str) -> None:
        """Raise `TrapError` where a lane ended by a trap."""
        if self.trap:
            raise TrapError(kernel, self.trap.lane, self.trap.reason, self.trap.line)


def joined(first: Outcome, second: Outcome) -> Outcome:
    """The outcome of a part of a launch and of the part after it, as of one run. Timelines are left out."""
    counters = first.counters
    if counters and second.counters:
        names = [field.name for field in fields(Counters)]
        counters = Counters(*(getattr(counters, name) + getattr(second.counters, name) for name in names))
    device_seconds = [each.device_seconds for each in (first, second) if each.device_seconds is not None]
    return Outcome(
        second.backend,
        first.trap or second.trap,
        first.traps + second.traps,
        counters,
        first.printed + second.printed,
        first.prints_dropped + second.prints_dropped,
        first.seconds + second.seconds,
        first.build_seconds + second.build_seconds,
        sum(device_seconds) if device_seconds else None,
        next_lane=second.next_lane,
        every_trap=first.every_trap + second.every_trap,
    )


def next_lane(launch: Launch, unit: int, lanes_of_unit: int) -> int | None:
    """Where the next part begins when all units before `unit` have run."""
    return unit * lanes_of_unit if launch.part and unit * lanes_of_unit < launch.lanes else None


def outside(index: int, name: str, length: int) -> str:
    """Why a lane ends whose access lies outside of a memory with that many elements."""
    return f"index {index} outside {name}[{length}]"


def check(kernel: Kernel, launch: Launch) -> Launch:
    """Return `launch` where it fits the kernel, its numbers as Python's own; raises `LaunchError` with what does not, and what is wanted."""
    launch.group = _whole(launch.group, "the size of a group")
    launch.lanes = _whole(launch.lanes, "the number of lanes")
    launch.fuel = min(_whole(launch.fuel, "fuel"), _MOST_FUEL)
    if not 1 <= launch.group <= MAX_GROUP:
        raise LaunchError(f"a group has 1 to {MAX_GROUP} lanes, not {launch.group}")
    if not 0 <= launch.lanes <= MAX_LANES:
        raise LaunchError(f"a launch has at most {MAX_LANES} lanes, not {launch.lanes}")
    if launch.fuel < 0:
        raise LaunchError(f"fuel is not negative: {launch.fuel}")
    if launch.part and not 0 <= launch.part.first <= launch.lanes:
        raise LaunchError(f"a part begins with a lane of its launch, 0 to {launch.lanes}, not {launch.part.first}")
    _same_names(kernel, "scalar", kernel.scalars, launch.scalars)
    launch.scalars = {name: _scalar(kernel, name, kind, launch.scalars[name]) for name, kind in kernel.scalars.items()}
    arrays = launch.buffers
    _same_names(kernel, "buffer", kernel.buffer_names, arrays)
    for memory in kernel.buffers:
        _fits(kernel, memory, arrays[memory.name])
    _check_apart(kernel, arrays)
    return launch


def address_of(array: Array) -> int:
    """The address of an array's first element."""
    # NumPy's own way is slow, but knows empty and read-only arrays too.
    if array.nbytes and array.flags.writeable:
        buffer: Any = array  # NumPy says that it is one on newer Pythons only
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    return array.ctypes.data


def _fits(kernel: Kernel, memory: Memory, array: Any) -> None:  # noqa: ANN401  # what the caller gave
    name = memory.name
    if not hasattr(array, "dtype") or isinstance(array, np.generic):
        raise LaunchError(f"{kernel.name}: {name} is a buffer and needs a NumPy array, not {type(array).__name__}")
    if isinstance(array, np.ma.MaskedArray):
        raise LaunchError(f"{kernel.name}: {name} is a masked array, and kernels know no masks; use .filled()")
    if array.dtype != memory.element.dtype:
        raise LaunchError(
            f"{kernel.name}: {name} holds {memory.element.value}, the array {array.dtype}; convert it with .astype"
        )
    if isinstance(array, np.ndarray):
        flags = array.flags
        if array.ndim != 1 or not flags.c_contiguous:
            raise LaunchError(
                f"{kernel.name}: {name} needs a contiguous array of one dimension, not of shape {array.shape}"
            )
        if memory.is_writable and not flags.writeable:
            raise LaunchError(f"{kernel.name}: {name} is written, and the array is read only")
    if len(array) > MAX_LENGTH:
        raise LaunchError(f"{kernel.name}: {name} has {len(array)} elements; at most {MAX_LENGTH} are addressed")


def _whole(given: object, what: str) -> int:
    try:
        return operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        raise LaunchError(f"{what} is a whole number, not {given!r}") from None


def _scalar(kernel: Kernel, name: str, kind: Type, given: object) -> int | float | bool:
    try:
        if kind is Type.BOOL and isinstance(given, (bool, np.bool_)):
            return bool(given)
        if kind.is_float and isinstance(given, (int, float, np.integer, np.floating)):
            real = float(given)
            if kind is Type.F64 or not _F32_ENDS <= abs(real) < math.inf:
                return real
        if kind.is_integer and kind.least <= (number := operator.index(given)) <= kind.greatest:  # type: ignore[arg-type]
            return number
    except (TypeError, OverflowError):
        pass
    raise LaunchError(f"{kernel.name}: {name} is {kind.value}, which {given!r} is not")


def _check_apart(kernel: Kernel, arrays: Mapping[str, Any]) -> None:
    """A buffer that is written lies apart from the others, as devices that copy them would not agree."""
    bound = [(memory, array) for memory in kernel.buffers if isinstance(array := arrays[memory.name], np.ndarray)]
    for place, (first, one) in enumerate(bound):
        for second, other in bound[place + 1 :]:
            written = second if second.is_writable else first
            # Two arrays that own their memory are apart; to ask takes longer.
            is_apart = one is not other and one.base is None and other.base is None
            if written.is_writable and not is_apart and np.may_share_memory(one, other):
                raise LaunchError(
                    f"{kernel.name}: {first.name} and {second.name} share memory, and {written.name} is written; "
                    "bind a copy"
                )


def _same_names(kernel: Kernel, kind: str, wanted: Collection[str], given: Mapping[str, object]) -> None:
    if len(wanted) == len(given):
        for name in wanted:
            if name not in given:
                break
        else:
            return
    missing, unknown = [n for n in wanted if n not in given], [n for n in given if n not in wanted]
    what = f"{kind} {missing[0]} is missing" if missing else f"there is no {kind} {unknown[0]}"
    raise LaunchError(f"{kernel.name}: {what}; its {kind}s are: {', '.join(wanted) or 'none'}")


def call_host(kernel: Kernel, op: Op, lane: int, slots: Any, functions: Mapping[str, HostFunction]) -> None:  # noqa: ANN401  # a ctypes pointer
    """Answer a lane's call of the host: operands lie in `slots` of 64 bits, where results are put."""
    function = functions.get(op.text)
    if function is None:
        raise LaunchError(f"kernel {kernel.name} calls the host's {op.text!r}, which the launch was not given")
    answers = function(lane, *(from_bits(slots[place], value.type) for place, value in enumerate(op.operands)))
    for place, (value, answer) in enumerate(zip(op.results, answers, strict=True)):
        one = np.zeros(1, value.type.dtype)
        one[0] = answer  # NumPy refuses what the type does not hold
        slots[place] = int.from_bytes(one.tobytes().ljust(8, b"\0"), "little")


class Executable(Protocol):
    """A kernel that a back end has made ready: `backend` names what runs it, `run` may be called any number of times."""

    backend: str

    def run(self, launch: Launch) -> Outcome:
        """Run a launch that `check` accepted, to its end; buffers are changed in place."""
        ...
