"""A compiled kernel, and its launches."""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ...errors import DeviceError
from ...ir.bits import from_bits
from ...ir.model import Kernel, Op, Space
from ...ir.types import Type
from ..launch import (
    OUT_OF_FUEL,
    Counters,
    Launch,
    Outcome,
    Part,
    PrintedLine,
    Trap,
    address_of,
    call_host,
    next_lane,
    outside,
)
from .compiler import load, machine
from .plan import Plan
from .source import FOLDER, is_alone
from .timeline import COUNTS, Recorder

MAX_FUEL = 1 << 61
_NO_LANE = (1 << 32) - 1
_HOST = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint64))


class LaunchRecord(ctypes.Structure):
    """Mirrors ``gb_launch`` of prelude.h."""

    _fields_ = (
        ("lanes", ctypes.c_uint32),
        ("group", ctypes.c_uint32),
        ("groups", ctypes.c_uint64),
        ("fuel", ctypes.c_int64),
        ("buffers", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("scalars", ctypes.c_void_p),
        ("traps", ctypes.c_uint64),
        ("trap_value", ctypes.c_uint64),
        ("trap_lane", ctypes.c_uint32),
        ("trap_site", ctypes.c_uint32),
        ("lock", ctypes.c_uint32),
        ("abort", ctypes.c_uint32),
        ("printed", ctypes.POINTER(ctypes.c_uint64)),
        ("printed_words", ctypes.c_uint64),
        ("printed_capacity", ctypes.c_uint64),
        ("printed_lines", ctypes.c_uint64),
        ("max_lines", ctypes.c_uint64),
        ("dropped", ctypes.c_uint64),
        ("host", _HOST),
        ("counts", ctypes.c_uint64 * len(COUNTS)),
        ("phase", ctypes.c_void_p),
        ("ends", ctypes.c_void_p),
    )


class ControlRecord(ctypes.Structure):
    """Mirrors ``gb_control`` of runtime.c."""

    _fields_ = (("budget_ns", ctypes.c_uint64), ("stop", ctypes.c_void_p), ("done", ctypes.c_uint64))


_WHOLE = Part()
_FORMS = {
    Type.F32: "f",
    Type.F64: "d",
    Type.BOOL: "?",
    **{kind: {8: "b", 16: "h", 32: "i", 64: "q"}[kind.bits] for kind in Type if kind.is_integer and kind.is_signed},
    **{kind: {8: "B", 16: "H", 32: "I", 64: "Q"}[kind.bits] for kind in Type if kind.is_integer and not kind.is_signed},
}
_HEAD_FORM = "IIQqQQQQQI"
"""The record up to `trap_lane`: what every launch states."""


@cache
def runtime() -> ctypes.CDLL:
    """What launches need beside the kernels: threads, memory of groups, the stamps of a timeline; compiled once."""
    found = load((FOLDER / "runtime.c").read_text())
    found.gb_run.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.POINTER(ControlRecord),
    )
    found.gb_free.argtypes = (ctypes.c_void_p,)
    return found


class LaneKernel:
    """A kernel in machine code; `backend` says in which variant: ``lane-c avx2 8x2``, ``lane-c scalar``.

    ``compile_kernel(module, "saxpy").run(launch)`` changes the launch's arrays in place and gives an `Outcome`.
    """

    def __init__(
        self,
        kernel: Kernel,
        plan: Plan,
        text: str,
        library: ctypes.CDLL,
        number: int,
        sites: Sequence[Op],
        *,
        counts: bool,
        timeline: bool,
    ) -> None:
        self.kernel, self.plan, self.source = kernel, plan, text
        self.backend = "lane-c scalar" if plan.width == 1 else f"lane-c {machine().name} {plan.width}x{plan.registers}"
        self._library = library
        self._function = ctypes.cast(library[f"gb_kernel{number}"], ctypes.c_void_p).value
        self._scratch_bytes = int((ctypes.c_uint64 * 4).in_dll(library, f"gb_info{number}")[3])
        self._sites = sites
        self._counts = counts
        self._is_recorded = timeline
        self._is_alone = is_alone(kernel)
        self._scalars = [(name, float if kind.is_float else int) for name, kind in kernel.scalars.items()]
        self._buffers = kernel.buffer_names
        self._lanes_of_unit = self.plan.width * self.plan.registers if self.plan.is_flat else 0
        # The record, and behind it the pointers, lengths and scalars that it points to, are one block of memory.
        self._size = ctypes.sizeof(LaunchRecord)
        forms = [_FORMS[kind] for kind in kernel.scalars.values()]
        scalars = "".join(f"{form}{8 - struct.calcsize('=' + form)}x" for form in forms)
        self._head = struct.Struct("=" + _HEAD_FORM)
        self._tail = struct.Struct(f"={2 * len(self._buffers)}Q{scalars}")
        self._call: Any = type("Call", (LaunchRecord,), {"_fields_": (("tail", ctypes.c_char * self._tail.size),)})
        self._runtime = runtime()

    def run(self, launch: Launch) -> Outcome:
        """Run all lanes of a launch to their ends; raises nothing that the program does: see `Outcome.trap`."""
        started = time.perf_counter()
        arrays = [launch.buffers[name] for name in self._buffers]
        # Memory at odd addresses is copied: atomics and narrow gathers want elements at multiples of their size.
        copies = [array if array.flags.aligned else array.copy() for array in arrays]
        record = self._call()
        at = ctypes.addressof(record)
        pointers = at + self._size
        lengths = pointers + 8 * len(arrays)
        scalars = lengths + 8 * len(arrays)
        given = launch.scalars
        fuel = min(launch.fuel, MAX_FUEL)
        self._head.pack_into(
            record, 0, launch.lanes, launch.group, launch.groups, fuel, pointers, lengths, scalars, 0, 0, _NO_LANE
        )
        values = [kind(given[name]) for name, kind in self._scalars]
        self._tail.pack_into(record, self._size, *map(address_of, copies), *map(len, copies), *values)
        failures: list[BaseException] = []
        callback = None
        if self._is_alone:
            callback = _HOST(self._host(launch, failures))
            record.host, record.max_lines = callback, launch.printed_lines
        ends = np.zeros((launch.lanes if launch.wants_traps else 0, 2), np.uint64)
        if launch.wants_traps:
            record.ends = ends.ctypes.data
        lanes_a_unit = self._lanes_of_unit or launch.group
        own = launch.part or _WHOLE
        first, units = own.units(launch.lanes, lanes_a_unit)
        control = ControlRecord(own.budget_ns, address_of(own.stop) if own.stop is not None else None, first)
        recorder = None
        if self._is_recorded:
            recorder = Recorder(at, LaunchRecord.counts.offset, LaunchRecord.traps.offset)
            record.phase = ctypes.cast(self._runtime.gb_phase, ctypes.c_void_p).value
        stamps = recorder.address if recorder else None
        status = self._runtime.gb_run(
            self._function, at, first, units, self._scratch_bytes, self._is_alone, stamps, control
        )
        if status:
            raise DeviceError(f"kernel {self.kernel.name}: no memory for {self._scratch_bytes} bytes of its groups")
        for array, copy in zip(arrays, copies, strict=True):
            if copy is not array and array.flags.writeable:
                array[:] = copy
        printed = self._printed(record) if self._is_alone else ()
        if failures:
            raise failures[0]
        counters = None
        if self._counts:
            counters = Counters(**dict(zip(COUNTS, record.counts, strict=True)))
        traps = record.traps
        trap = self._trap(launch, record.trap_lane, record.trap_site, record.trap_value) if traps else None
        every = np.flatnonzero(ends[:, 0]) if traps else ()
        took = time.perf_counter() - started
        outcome = Outcome(self.backend, trap, traps, counters, printed, record.dropped, took)
        outcome.next_lane = next_lane(launch, control.done, lanes_a_unit)
        outcome.every_trap = tuple(
            self._trap(launch, int(lane), int(ends[lane, 0]) - 1, int(ends[lane, 1])) for lane in every
        )
        if recorder:
            outcome.timeline = recorder.timeline(self.kernel.name, lanes_a_unit, launch.lanes, self.plan.is_flat)
        return outcome

    def _trap(self, launch: Launch, lane: int, site: int, index: int) -> Trap:
        op = self._sites[site]
        reason = op.text or "trap"
        if op.name == "continue":
            reason = OUT_OF_FUEL
        elif op.memory is not None:
            memory = op.memory
            if op.operands[0].type.is_signed and index >> 63:
                index -= 1 << 64
            size = len(launch.buffers[memory.name]) if memory.space is Space.BUFFER else memory.length or 0
            reason = outside(index, memory.name, size)
        return Trap(lane, reason, op.line)

    def _printed(self, record: LaunchRecord) -> tuple[PrintedLine, ...]:
        if not record.printed_lines:
            return ()
        words = np.ctypeslib.as_array(record.printed, (record.printed_words,)).copy()
        self._runtime.gb_free(record.printed)
        lines: list[tuple[int, int, str]] = []
        at = 0
        while at < len(words):
            op, lane = self._sites[int(words[at])], int(words[at + 1])
            at += 2
            shown = [op.text]
            for value in op.operands:
                shown.append(repr(from_bits(int(words[at]), value.type)))
                at += 1
            lines.append((lane, len(lines), " ".join(word for word in shown if word)))
        return tuple(PrintedLine(lane, text) for lane, _, text in sorted(lines, key=lambda line: line[:2]))

    def _host(self, launch: Launch, failures: list[BaseException]) -> Callable[[int, int, Any], int]:
        def call(site: int, lane: int, slots: Any) -> int:  # noqa: ANN401  # a ctypes pointer
            op = self._sites[site]
            try:
                call_host(self.kernel, op, lane, slots, launch.host_functions)
            except BaseException as error:
                failures.append(error)
                return 1
            return 0

        return call
