"""What lanes print, as the user wants it: lane after lane, in files, or a JSON object for each lane."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..errors import GlassBoxError
from ..supervisor import Processes

STREAMS = ("stdout", "stderr")


class Output(Protocol):
    """Called after each round; `finish` at the end, also of a run that was interrupted."""

    def update(self, processes: Processes) -> None:
        """Write what is new and may be written."""
        ...

    def finish(self, processes: Processes) -> int:
        """Write the whole output of the lanes that have ended, and tell how many lanes' output is left out."""
        ...


class Merged:
    """Lane after lane, each in the order of time: the lowest lane that runs is shown as it goes, others once it is their turn."""

    def __init__(self, stdout: BinaryIO, stderr: BinaryIO, before: Callable[[], None]) -> None:
        self.sinks, self.before = (stdout, stderr), before
        self.lane = 0
        self.written = [0, 0]

    def update(self, processes: Processes) -> None:
        """Write what the lanes have printed whose turn it is."""
        has_ended = processes.has_ended
        while self.lane < processes.lanes:
            self._write(processes, self.lane)
            if not has_ended[self.lane]:
                break
            self.lane += 1
            self.written = [0, 0]
        for sink in self.sinks:
            sink.flush()

    def finish(self, processes: Processes) -> int:
        """Write the rest of the lanes that came to their end; those that were killed are left out, but for what is written of one."""
        whole = processes.table()["status"] != "killed"
        left_out = 0
        for lane in range(self.lane, processes.lanes):
            if whole[lane]:
                self._write(processes, lane)
            else:
                left_out += any(map(len, processes.output(lane))) and not any(self.written)
            self.written = [0, 0]
        for sink in self.sinks:
            sink.flush()
        return left_out

    def _write(self, processes: Processes, lane: int) -> None:
        for place, sink in enumerate(self.sinks):
            if fresh := processes.printed.read(lane, place + 1, self.written[place]):
                self.before()
                sink.write(fresh)
                self.written[place] += len(fresh)


class Files:
    """Files ``stdout`` and ``stderr`` in a folder of each lane, written when the lane has ended."""

    def __init__(self, folder: Callable[[int], Path]) -> None:
        self.folder = folder
        self.done: set[int] = set()

    def update(self, processes: Processes) -> None:
        """Write those of the lanes that have ended since."""
        for lane in processes.has_ended.nonzero()[0].tolist():
            if lane not in self.done:
                self._write(lane, processes.output(lane))

    def finish(self, processes: Processes) -> int:
        """Write those of lanes that were killed, too, as far as they came: each has files of its own."""
        self.update(processes)
        return 0

    def _write(self, lane: int, printed: tuple[bytes, bytes]) -> None:
        self.done.add(lane)
        for name, text in zip(STREAMS, printed, strict=True):
            path = self.folder(lane) / name
            try:
                path.write_bytes(text)
            except OSError as error:
                raise GlassBoxError(f"{path}: {error.strerror}") from None


class Lines:
    """A JSON object for each lane, in the order of lanes: its row of the table, its trap, what it has printed."""

    def __init__(self, sink: BinaryIO, before: Callable[[], None]) -> None:
        self.sink, self.before = sink, before
        self.lane = 0

    def update(self, processes: Processes) -> None:
        """Write the lanes whose turn it is."""
        has_ended = processes.has_ended
        if self.lane < processes.lanes and has_ended[self.lane]:
            table = processes.table()
            while self.lane < processes.lanes and has_ended[self.lane]:
                self._write(processes, table[self.lane])
                self.lane += 1
            self.sink.flush()

    def finish(self, processes: Processes) -> int:
        """Write all other lanes: their status says which were killed."""
        self.update(processes)
        return 0

    def _write(self, processes: Processes, row: Any) -> None:  # noqa: ANN401  # a row of a structured array
        self.before()
        self.sink.write(json.dumps(lane_record(processes, row, with_output=True)).encode() + b"\n")


def lane_record(processes: Processes, row: Any, *, with_output: bool = False) -> dict[str, Any]:  # noqa: ANN401  # as above
    """A lane's row of the table as JSON values, with its trap where it has one.

    What it has printed is text where it is UTF-8, else base64 under ``stdout_base64`` and ``stderr_base64``.
    """
    lane = int(row["lane"])
    found: dict[str, Any] = {name: row[name].item() for name in row.dtype.names}
    if found["status"] != "exited":
        found["exit_code"] = None
    if trap := processes.trap(lane):
        found["trap"] = {"reason": trap.reason, "function": trap.function, "backtrace": list(trap.backtrace)}
    if with_output:
        for name, text in zip(STREAMS, processes.output(lane), strict=True):
            try:
                found[name] = text.decode()
            except UnicodeDecodeError:
                found[f"{name}_base64"] = base64.b64encode(text).decode()
    return found
