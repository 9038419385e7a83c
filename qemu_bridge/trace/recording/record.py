"""Recording of a running machine into a file, from arming to the index: what ``glassbox trace record`` calls.

>>> with Client.connect("demo") as machine:
...     result = record_trace(machine, Path("demo.gbt"), RecordOptions(seconds=5))
>>> result.end, result.progress.instructions
(<RecordEnd.TIME: 'time'>, 2931772113)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from tcg_plugin.layout import Stop

from ...errors import GlassBoxError, MachineError, UsageError
from ...wire.connection import Connection
from ...wire.trace_records import ArmOptions, Progress, RecordEnd, RecordOptions, RecordResult
from ..file.guest_note import Guest, note_guest
from .control import TraceControl
from .options import window_of
from .places import Kernel, find_address, find_roots
from .recorder import Recorder
from .symbols import note_symbols

PROGRESS_S = 1.0
"""Seconds between two calls of a progress callback."""
PROCESSES_S = 1.0
"""Seconds between two looks at which of the recorded processes are left."""


class Machine(Kernel, Guest, Protocol):
    """What recording asks of a machine's client."""

    @property
    def name(self) -> str:
        """Name of the machine."""

    @property
    def connection(self) -> Connection:
        """Its connection file."""

    def trace_arm(self, options: ArmOptions, /) -> object:
        """Open a window that this process reads."""

    def trace_disarm(self) -> object:
        """Close the window."""

    def trace_status(self) -> object:
        """Raises `MachineError` with the reason if the machine has no plugin that traces."""


class StopSignal(Protocol):
    """What ends a recording from outside, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether the recording is to end."""


def record_trace(
    machine: Machine,
    output: Path,
    options: RecordOptions,
    progress: Callable[[Progress], None] | None = None,
    stop: StopSignal | None = None,
) -> RecordResult:
    """Record what `machine` executes into the file `output`, until one of the limits of `options` or `stop` ends it.

    `progress` is called about once a second, on this thread. Whatever ends the recording, the file gets its index; what
    was recorded before an error stays readable. Raises `UsageError` for places, processes and sizes that do not exist
    and for an `output` that exists, unless it is a trace and `force` is set, `MachineError` when the machine has no plugin or is recorded already, and
    `HostError` when the disk is full.
    """
    if output.exists() and not options.force:
        raise UsageError(f"{output} exists; give -o another name, or --force to replace a trace")
    path = _shared_file(machine)
    window = window_of(machine, options)
    until = find_address(machine, options.until) if options.until else None
    control = TraceControl(path)
    about = {
        "machine": machine.name,
        "image": machine.connection.image,
        **msgspec.to_builtins(window),
        **note_guest(machine),
    }
    recorder = Recorder(control, output, about, until_address=until, more=note_symbols(machine))
    try:
        _arm(machine, control, recorder, lambda: _open(machine, window, options.pids), output)
        end = _drain_and_close(
            machine, recorder, _Limits(machine, window, options, progress, stop or threading.Event())
        )
        done = recorder.finish()
        return RecordResult(str(output), end or _end_of(recorder), done, control.error)
    finally:
        # While an error is on its way, its traceback holds views of the mapping.
        with contextlib.suppress(BufferError):
            control.close()


def drain(recorder: Recorder, stop: StopSignal) -> RecordEnd:
    """Record an open window until it closes or `stop` is set; the caller finishes `recorder`."""
    while not recorder.is_over:
        if stop.is_set():
            return RecordEnd.STOPPED
        recorder.step()
    return _end_of(recorder)


class _Limits:
    """When a recording is to end, and the progress callback."""

    def __init__(
        self,
        kernel: Kernel,
        window: ArmOptions,
        options: RecordOptions,
        progress: Callable[[Progress], None] | None,
        stop: StopSignal,
    ) -> None:
        self._kernel, self._roots = kernel, set(window.roots) if options.pids else set()
        self._options, self._progress, self._stop = options, progress, stop
        self._shown = self._looked = time.monotonic()
        self._opened = None if options.waits_for_start else self._shown
        self._missed = 0

    def reached(self, recorder: Recorder, taken: int) -> RecordEnd | None:
        """The limit that is reached, after a step that took `taken` chunks; None: continue."""
        now = time.monotonic()
        # The time that was asked for begins with the window, which opens when its trigger fires.
        self._opened = now if self._opened is None and taken else self._opened
        seconds, instructions = self._options.seconds, self._options.instructions
        if self._stop.is_set():
            return RecordEnd.STOPPED
        if recorder.has_reached:
            return RecordEnd.UNTIL
        if seconds is not None and self._opened is not None and now - self._opened >= seconds:
            return RecordEnd.TIME
        if instructions is not None and recorder.progress.instructions >= instructions:
            return RecordEnd.INSTRUCTIONS
        if self._roots and now - self._looked >= PROCESSES_S:
            # The plugin hears when a root is freed, which an idle vCPU that still has it puts off for as long as it is idle.
            self._looked = now
            self._missed = 0 if self._may_run() else self._missed + 1
            if self._missed == 2:  # a list that changes while it is read may lack a row once
                return RecordEnd.PROCESSES_ENDED
        if self._progress is not None and now - self._shown >= PROGRESS_S:
            self._shown = now
            self._progress(recorder.progress)
        return None

    def _may_run(self) -> bool:
        """Whether one of the recorded processes is left, or none can be said to have ended."""
        try:
            processes = self._kernel.ps()
        except GlassBoxError:
            return True
        return not processes.is_complete or any(process.page_table in self._roots for process in processes)


def _shared_file(machine: Machine) -> Path:
    path = machine.connection.trace_path
    if not path:
        # The daemon knows why there is none.
        machine.trace_status()
        raise MachineError(f"machine {machine.name!r} has no plugin that traces; start it again")
    return Path(path)


def _open(machine: Machine, window: ArmOptions, pids: Sequence[int]) -> None:
    """Open the window; `UsageError` if one of `pids` ended before it, so that its root may be another's."""
    machine.trace_arm(window)
    try:
        for pid, was, now in zip(pids, window.roots, find_roots(machine, pids), strict=True):
            if now != was:
                raise UsageError(f"process {pid} executed another program meanwhile; record it again")
    except GlassBoxError:
        machine.trace_disarm()
        raise


def _arm(
    machine: Machine, control: TraceControl, recorder: Recorder, open_window: Callable[[], object], output: Path
) -> None:
    generation = int(control.block.generation)
    # What an earlier reader left in the rings is no part of this window: drain only once this one is requested.
    try:
        failed = _work_during(lambda: control.block.generation != generation and recorder.step(), open_window)
    except BaseException:
        recorder.abandon()
        with contextlib.suppress(GlassBoxError):
            machine.trace_disarm()
        raise
    if failed is not None:
        recorder.abandon()
        output.unlink(missing_ok=True)
        raise failed


def _drain_and_close(machine: Machine, recorder: Recorder, limits: _Limits) -> RecordEnd | None:
    """Record until a limit is reached, which is returned, or the window closes by itself: None. Then close it."""
    failure: BaseException | None = None
    end: RecordEnd | None = None
    try:
        taken = 0
        while not recorder.is_over and (end := limits.reached(recorder, taken)) is None:
            taken = recorder.step()
    except BaseException as error:
        failure = error
    closed = _work_during(lambda: failure is None and recorder.step(), machine.trace_disarm)
    while failure is None and not recorder.is_over:
        recorder.step()
    if failure is not None:
        # The index too may be more than the disk has space for; the first error says what went wrong.
        with contextlib.suppress(GlassBoxError):
            recorder.finish()
        raise failure
    if closed is not None and not isinstance(closed, MachineError):
        recorder.finish()
        raise closed
    return end


def _end_of(recorder: Recorder) -> RecordEnd:
    """Why a window closed by itself."""
    if recorder.stop is Stop.EXIT:
        return RecordEnd.MACHINE_ENDED
    if not recorder.is_machine_alive:
        return RecordEnd.MACHINE_KILLED
    if recorder.control.error:
        return RecordEnd.FAILED
    if recorder.stop is Stop.ROOTS_FREED:
        return RecordEnd.PROCESSES_ENDED
    return RecordEnd.INSTRUCTIONS if recorder.stop is Stop.LIMIT else RecordEnd.STOPPED


def _work_during(work: Callable[[], object], request: Callable[[], object]) -> BaseException | None:
    """Do `work` over and over while `request` runs: it may wait for vCPUs that wait for us. Returns its error.

    An error of `work` is raised once the request has ended.
    """
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            request()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="trace-request")
    thread.start()
    try:
        while thread.is_alive():
            if not work():
                thread.join(0.001)
    finally:
        thread.join()
    return failed[0] if failed else None
