"""What a trace records of system calls, as rows in the order of time over all vCPUs.

>>> for rows in iter_rows(trace):
...     rows.columns["time_ns"], rows.texts
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import Event, Gate

from ..file.frame import Events, Frame
from ..file.reader import TraceReader

VALUES = 9
"""Of a call: number, six arguments, RSP, time; of a return: result, RSP, RIP, time."""
NO_END = 0xFFFF
_NEVER = (1 << 64) - 1
ROOT_MASK = ((1 << 52) - 1) & ~0x1FFF
"""Of a page-table root: without flags, PCID, and the half that page-table isolation gives to user code."""
ROW = np.dtype(
    [
        *(("time_ns", "<u8"), ("root", "<u8"), ("before", "<u8"), ("instruction", "<u8")),
        *(("values", "<u8", VALUES), ("kind", "u1"), ("gate", "u1"), ("end", "<u2"), ("vcpu", "<u2"), ("words", "u1")),
    ]
)
"""An event. `root` is loaded then, and `before` was before a PAGE_TABLE; `end`: place in its page of what follows the instruction of
a call, `NO_END` if that is not known; `words`: of its payload."""
_TEXT_PIECES = 4
"""Of an argument: see put_text in ``tcg_plugin/calls.c``."""
_BREAKS = (Event.WINDOW_START, Event.GAP)
_TIMED = {Event.SYSCALL: 8, Event.SYSRET: 3, Event.IRET: 3}
"""Which of the values is the time."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Events of all vCPUs, by time; and by the number of a call's row its texts: bytes by argument, and whether there was more."""

    columns: npt.NDArray[np.void]
    texts: dict[int, dict[int, tuple[bytes, bool]]]


def iter_rows(trace: TraceReader) -> Iterator[Rows]:
    """All system calls, returns, new page tables and gaps of `trace`, in order, about a frame's at a time.

    One vCPU may be behind the others, so rows wait until no later frame has one that comes before them.
    """
    following = [_NEVER] * len(trace) if trace.vcpus == 1 else _times_that_follow(trace)
    lasts = [0] * trace.vcpus
    waiting = Rows(np.zeros(0, ROW), {})
    for frame, until_ns in zip(trace.frames(), following, strict=True):
        parts = [waiting]
        for vcpu in range(trace.vcpus):
            parts.append(_rows(frame, vcpu, lasts[vcpu]))
            lasts[vcpu] = max([lasts[vcpu], *parts[-1].columns["time_ns"][-1:].tolist()])
            # An event without a time comes behind what is handed out now.
            if until_ns != _NEVER:
                lasts[vcpu] = max(lasts[vcpu], until_ns)
        rows = _merged(parts) if trace.vcpus > 1 else parts[-1]
        count = int(
            np.searchsorted(rows.columns["time_ns"], np.uint64(until_ns), "right" if until_ns == _NEVER else "left")
        )
        waiting = Rows(rows.columns[count:], {row - count: found for row, found in rows.texts.items() if row >= count})
        if count:
            yield Rows(rows.columns[:count], {row: found for row, found in rows.texts.items() if row < count})


def _times_that_follow(trace: TraceReader) -> list[int]:
    """By frame: the earliest time of an event in a later one."""
    firsts = [min(_first_time(frame, vcpu) for vcpu in range(trace.vcpus)) for frame in trace.frames()]
    return [*itertools.accumulate(reversed([*firsts[1:], _NEVER]), min)][::-1] if firsts else []


def _first_time(frame: Frame, vcpu: int) -> int:
    events = frame.events(vcpu)
    words = events.list.words[events.list.offset] >> 16 & 0xFF
    firsts = [_NEVER]
    for kind, place in (*_TIMED.items(), (Event.WINDOW_START, 0)):
        found = np.flatnonzero((events.types == kind) & (words >= 2 * place + 2))[:1].tolist()
        firsts += [events.value(index, 2 * place) for index in found]
    return min(firsts)


def _merged(parts: list[Rows]) -> Rows:
    columns = np.concatenate([part.columns for part in parts])
    order = np.argsort(columns["time_ns"], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    texts: dict[int, dict[int, tuple[bytes, bool]]] = {}
    first = 0
    for part in parts:
        texts |= {int(place[first + row]): found for row, found in part.texts.items()}
        first += len(part.columns)
    return Rows(columns[order], texts)


def _rows(frame: Frame, vcpu: int, last_ns: int) -> Rows:
    events = frame.events(vcpu)
    types = events.types
    loads = (types == Event.PAGE_TABLE) | (types == Event.WINDOW_START)
    wanted = loads | np.isin(types, (*_TIMED, *_BREAKS))
    index = np.flatnonzero(wanted)
    rows = np.zeros(len(index), ROW)
    if not len(index):
        return Rows(rows, {})
    rows["kind"], rows["vcpu"] = types[index], vcpu
    rows["gate"] = np.minimum(events.smalls[index], 255)
    rows["words"] = events.list.words[events.list.offset[index]] >> 16 & 0xFF
    _set_values(rows, events, index)
    _set_roots(rows, int(frame.vcpu(vcpu)["root"]))
    _set_times(rows, last_ns)
    _set_places(rows, frame, vcpu, events, index)
    return Rows(rows, _texts(events, index))


def _set_values(rows: npt.NDArray[np.void], events: Events, index: npt.NDArray[np.intp]) -> None:
    words, offset = events.list.words, events.list.offset[index].astype(np.int64)
    values = rows["values"]
    for place in range(VALUES):
        there = np.flatnonzero(rows["words"] >= 2 * place + 2)
        at = offset[there] + 1 + 2 * place
        values[there, place] = words[at] | words[at + 1].astype(np.uint64) << np.uint64(32)
    # That of a window's start comes behind its time.
    starts = rows["kind"] == Event.WINDOW_START
    rows["time_ns"][starts] = values[starts, 0]
    values[starts, 0] = values[starts, 1]


def _set_roots(rows: npt.NDArray[np.void], first: int) -> None:
    loads = np.flatnonzero((rows["kind"] == Event.PAGE_TABLE) | (rows["kind"] == Event.WINDOW_START))
    roots = np.concatenate((np.array([first], np.uint64), rows["values"][loads, 0])) & np.uint64(ROOT_MASK)
    rows["root"] = roots[np.searchsorted(loads, np.arange(len(rows)), "right")]
    rows["before"][loads] = roots[:-1]


def _set_times(rows: npt.NDArray[np.void], last_ns: int) -> None:
    """Each event's; one without has that of the one before."""
    times = rows["time_ns"]
    for kind, place in _TIMED.items():
        there = np.flatnonzero((rows["kind"] == kind) & (rows["words"] >= 2 * place + 2))
        times[there] = rows["values"][there, place]
    times[0] = max(int(times[0]), last_ns)
    rows["time_ns"] = np.maximum.accumulate(times)


def _set_places(
    rows: npt.NDArray[np.void], frame: Frame, vcpu: int, events: Events, index: npt.NDArray[np.intp]
) -> None:
    at = events.list.at[index]
    begun = np.concatenate(([0], np.cumsum(frame.instructions(vcpu), dtype=np.uint64)))
    rows["instruction"] = begun[at] + frame.vcpu(vcpu)["first_instruction"]
    rows["end"] = NO_END
    # A call from a block that was left out stands behind the last one that was not, and an event that says so.
    left_out = np.concatenate((np.array([-1]), events.where(Event.LEFT_OUT)))
    latest = left_out[np.searchsorted(left_out, index) - 1]
    recorded = (latest < 0) | (events.list.at[latest] != at)
    calls = np.flatnonzero((rows["kind"] == Event.SYSCALL) & (at > 0) & recorded)
    numbers = frame.numbers(vcpu)[at[calls].astype(np.int64) - 1]
    table = frame.dictionary
    ends = (table.addresses[numbers] + table.bytes[numbers]) & np.uint64(0xFFF)
    user = table.rings[numbers] == 3
    rows["end"][calls[user]] = ends[user]


def _texts(events: Events, index: npt.NDArray[np.intp]) -> dict[int, dict[int, tuple[bytes, bool]]]:
    """As many pieces of each argument as the plugin makes; those behind another event than their call's are dropped."""
    found: dict[int, dict[int, tuple[bytes, bool]]] = {}
    counts: dict[tuple[int, int], int] = {}
    pieces = events.where(Event.TEXT)
    owners = np.searchsorted(index, pieces) - 1
    owned = (owners >= 0) & (events.types[index[owners]] == Event.SYSCALL)
    for piece, owner in zip(pieces[owned].tolist(), owners[owned].tolist(), strict=True):
        small = int(events.smalls[piece])
        argument, more, length = small & 7, bool(small >> 3 & 1), small >> 4
        counts[owner, argument] = counts.get((owner, argument), 0) + 1
        if counts[owner, argument] <= _TEXT_PIECES:
            before = found.setdefault(owner, {}).get(argument, (b"", False))[0]
            found[owner][argument] = (before + events.payload(piece).tobytes()[:length], more)
    return found


def has_known_gates(rows: npt.NDArray[np.void]) -> bool:
    """Whether calls entered the kernel, and left it, in ways that there are."""
    gates = rows["gate"][np.isin(rows["kind"], (Event.SYSCALL, Event.SYSRET))]
    return bool(np.isin(gates, list(Gate)).all())


def has_arguments(rows: npt.NDArray[np.void]) -> bool:
    """Whether the plugin recorded arguments, stacks and times: since version 7 of its interface."""
    calls = rows[rows["kind"] == Event.SYSCALL]
    return not len(calls) or bool((calls["words"] == 2 * VALUES).all())
