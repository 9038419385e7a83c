"""Processes, system calls and exceptions on a time line, as Perfetto's protobuf: open it at ui.perfetto.dev.

A track for each vCPU shows which process ran; below it one shows system calls as slices and exceptions as instants; a call that waits is shown up to the switch. Time is
counted in instructions of the vCPU, one a nanosecond: exact, and the same in every run of the same work, which wall time
under an emulator is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tcg_plugin.layout import Event, Gate

from ..analysis.naming import Naming
from ..file.frame import Frame
from ..file.reader import TraceReader
from .perfetto_packets import BEGIN, END, INSTANT, event, track

_OF_32_BITS = 1 << 32
"""Marks the number of a system call by a 32-bit program."""
_SHOWN = {Event.SYSCALL: BEGIN, Event.SYSRET: END, Event.EXCEPTION: INSTANT}


def write(trace: TraceReader, output: Path, naming: Naming) -> None:
    """Write `trace` into the new file `output`."""
    with open(output, "xb") as file:
        for vcpu in range(trace.vcpus):
            own, events = _tracks(vcpu)
            file.write(track(own, f"vCPU {vcpu}", is_first=vcpu == 0))
            file.write(track(events, "system calls", parent=own))
            for packet in _packets(trace, vcpu, naming):
                file.write(packet)


def _tracks(vcpu: int) -> tuple[int, int]:
    return 2 * vcpu + 1, 2 * vcpu + 2


def _packets(trace: TraceReader, vcpu: int, naming: Naming) -> Iterator[bytes]:
    own, events = _tracks(vcpu)
    running: int | None = None
    is_calling, time = False, 0
    for frame in trace.frames():
        starts = _starts(frame, vcpu)
        for at, kind, value in _changes(frame, vcpu):
            time = int(starts[at])
            if kind == Event.PAGE_TABLE:
                if value == running:
                    continue
                if is_calling:
                    yield event(time, events, END)
                if running is not None:
                    yield event(time, own, END)
                running, is_calling = value, False
                yield event(time, own, BEGIN, naming.process(value) or f"root {value:#x}")
            elif kind == Event.EXCEPTION:
                yield event(time, events, INSTANT, f"exception {value}")
            elif value & _OF_32_BITS and kind == Event.SYSCALL:
                # An instant: most return with iret, which no event tells from the end of an interrupt.
                yield event(time, events, INSTANT, f"system call {value & ~_OF_32_BITS} of 32 bits")
            else:
                # A call that never returned ends where the next begins; what returns to another process began long ago.
                if is_calling:
                    yield event(time, events, END)
                is_calling = kind == Event.SYSCALL
                if is_calling:
                    yield event(time, events, BEGIN, f"system call {value}")
        time = int(starts[-1])
    if is_calling:
        yield event(time, events, END)
    if running is not None:
        yield event(time, own, END)


def _starts(frame: Frame, vcpu: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Instructions before each block, and before what comes after the last one."""
    begun = frame.instructions(vcpu)
    return np.concatenate(([0], np.cumsum(begun, dtype=np.int64))) + int(frame.vcpu(vcpu)["first_instruction"])


def _changes(frame: Frame, vcpu: int) -> list[tuple[int, int, int]]:
    """(blocks before it, type, value) of what is shown, in order: the root, the system call or the vector."""
    events = frame.events(vcpu)
    # Of several at one place the last counts: a window begins with what was loaded before it.
    roots = dict(zip(*(column.tolist() for column in frame.root_changes(vcpu)), strict=True))
    found = [(at, int(Event.PAGE_TABLE), root) for at, root in roots.items()]
    for kind in _SHOWN:
        for index in events.where(kind).tolist():
            small = int(events.smalls[index])
            value = small if kind == Event.EXCEPTION else events.value(index) & 0xFFFFFFFF
            if kind == Event.SYSCALL and small != Gate.SYSCALL:
                value |= _OF_32_BITS
            found.append((int(events.list.at[index]), int(kind), value))
    found.sort(key=lambda change: change[0])
    return found
