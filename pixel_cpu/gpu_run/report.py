"""What is said of a run: progress while it goes, traps, the table of lanes, the summary."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from qemu_bridge.host.printable import printable

from ..runtime.rounds import LaneTrap
from ..supervisor import NO_CODE, Event, Processes, Status

SHOWN_TRAPS = 10
"""Traps that are shown; the rest is counted."""
SHOWN_FRAMES = 12
"""Functions of a backtrace that are shown."""
ABORTED = 134
"""Exit status of a run whose only lane ended by a trap, as that of a process that calls abort(3)."""
_COLUMNS = ("lane", "pid", "status", "exit_code", "fuel", "memory", "calls", "wait")
_BETWEEN_SECONDS = 0.1


class Progress:
    """A line on standard error, or the table of lanes, drawn over and over while lanes run; nothing where that is no terminal."""

    def __init__(self, stream: TextIO, *, is_on: bool, with_table: bool = False) -> None:
        self.stream, self.with_table = stream, with_table
        self.is_on = is_on and stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
        self._lines = 0
        self._next = 0.0

    def update(self, processes: Processes) -> None:
        """Draw, unless that was done just now."""
        now = time.monotonic()
        if self.is_on and now >= self._next:
            self._next = now + _BETWEEN_SECONDS
            self.clear()
            size = shutil.get_terminal_size()
            lines = [progress_line(processes)[: size.columns - 1]]
            if self.with_table:
                lines += [line[: size.columns - 1] for line in _live_rows(processes, size.lines - 3)]
            self.stream.write("\n".join(lines))
            self.stream.flush()
            self._lines = len(lines)

    def clear(self) -> None:
        """Take away what was drawn, so that other text has the line for itself."""
        if self._lines:
            up = f"\x1b[{self._lines - 1}A" if self._lines > 1 else ""
            self.stream.write(f"\r{up}\x1b[J")
            self.stream.flush()
            self._lines = 0


def progress_line(processes: Processes) -> str:
    """How far a run is, in words."""
    done = int(processes.has_ended.sum())
    waves = processes.waves + processes.waves_left
    wave = f", wave {processes.waves} of {waves}" if waves > 1 else ""
    return f"gpu-run: {done:,} of {processes.lanes:,} lanes done, round {processes.rounds:,}{wave}"


def _live_rows(processes: Processes, most: int) -> list[str]:
    """As much of the table as fits: lanes that run first."""
    table = processes.table()
    if len(table) > most:
        order = np.argsort(processes.has_ended, kind="stable")
        table = np.sort(table[order[: max(most - 2, 1)]], order="lane")
    rows = list(format_table(table))
    return [*rows, f"and {processes.lanes - len(table):,} more"] if len(table) < processes.lanes else rows


def format_table(table: np.ndarray[Any, Any]) -> Iterator[str]:
    """Lines of the table of lanes under a heading."""
    cells = [[name.upper().replace("_", " ") for name in _COLUMNS]]
    for row in table:
        values = {name: row[name].item() for name in _COLUMNS}
        if values["exit_code"] == NO_CODE:
            values["exit_code"] = "-"
        values["memory"] = f"{values['memory'] >> 10}K"
        cells.append([str(values[name]) or "-" for name in _COLUMNS])
    yield from aligned(cells, left=("STATUS", "WAIT"))


def aligned(cells: list[list[str]], left: tuple[str, ...] = ()) -> Iterator[str]:
    """Lines of columns, the first row being their headings; those named in `left` begin at the same place, others end there."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    to_left = [heading in left for heading in cells[0]]
    for line in cells:
        padded = zip(line, widths, to_left, strict=True)
        yield "  ".join(text.ljust(width) if is_left else text.rjust(width) for text, width, is_left in padded).rstrip()


class Traps:
    """Says of lanes that end by a trap: why, and in which functions; `most` of them, the rest is counted."""

    def __init__(self, most: int | None) -> None:
        self.most, self.count = most, 0

    def lines(self, events: Sequence[Event]) -> Iterator[str]:
        """What is said of events; nothing of those that are no trap, or too many."""
        for event in events:
            if event.trap:
                self.count += 1
                if self.most is None or self.count <= self.most:
                    yield from trap_lines(event.lane, event.trap)

    @property
    def more(self) -> str:
        """How many were not shown, in words; empty where all were."""
        left = self.count - (self.count if self.most is None else min(self.count, self.most))
        return f"and {left:,} more lanes ended by traps; -v shows all" if left else ""


def trap_lines(lane: int, trap: LaneTrap) -> Iterator[str]:
    """Why a lane ended, and its functions, innermost first."""
    where = f" in {trap.function}" if trap.function else ""
    yield printable(f"lane {lane}: {trap.reason}{where}")
    for place, name in enumerate(trap.backtrace[:SHOWN_FRAMES]):
        yield printable(f"    {place}: {name}")
    if (left := len(trap.backtrace) - SHOWN_FRAMES) > 0:
        yield f"    and {left:,} more, the outermost {printable(trap.backtrace[-1])}"


def summary(processes: Processes, device: str, began: float) -> dict[str, Any]:
    """What a run came to."""
    table = processes.table()
    statuses = [each.name.lower() for each in Status]
    codes, counts = np.unique(table["exit_code"][table["status"] == "exited"], return_counts=True)
    return {
        "lanes": processes.lanes,
        "device": device,
        "waves": processes.waves,
        "lanes_of_a_wave": processes.wave_lanes,
        "rounds": processes.rounds,
        "calls": int(table["calls"].sum()),
        "fuel": int(table["fuel"].sum()),
        "seconds": round(time.monotonic() - began, 3),
        "status": {name: found for name in statuses if (found := int((table["status"] == name).sum()))},
        "exit_codes": {str(code): int(count) for code, count in zip(codes, counts, strict=True)},
    }


def summary_line(found: dict[str, Any]) -> str:
    """The summary in words."""
    codes = [f"{count:,} gave {code}" for code, count in found["exit_codes"].items()]
    others = [f"{count:,} {name}" for name, count in found["status"].items() if name != "exited"]
    waves = f", {found['waves']} waves" if found["waves"] > 1 else ""
    return (
        f"{found['lanes']:,} lane{'s' if found['lanes'] > 1 else ''} on {found['device']}: {', '.join(codes + others)}; "
        f"{found['rounds']:,} rounds{waves}, {found['seconds']:g} s"
    )


def exit_status(processes: Processes) -> int:
    """The exit status of a run that was not interrupted: 0 where all lanes gave 0; a single lane's own; else 1."""
    table = processes.table()
    if processes.lanes == 1:
        if table["status"][0] == "trapped":
            return ABORTED
        code = int(table["exit_code"][0])
        # A process passes on eight bits.
        return code & 0xFF or int(code != 0) if table["status"][0] == "exited" else 1
    return int(not ((table["status"] == "exited") & (table["exit_code"] == 0)).all())


def say(message: str) -> None:
    """A line on standard error."""
    print(f"gpu-run: {message}", file=sys.stderr, flush=True)
