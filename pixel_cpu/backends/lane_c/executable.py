"""A compiled kernel, and its launches."""

from __future__ import annotations

import ctypes
import os
import pickle
import struct
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DeviceError
from ...ir.bits import from_bits
from ...ir.model import Kernel, Memory, Module, Op, Region, Space, Value
from ...ir.types import Type
from ...passes.inline import MAX_OPERATIONS, inline
from ...passes.prune import prune
from ..launch import OUT_OF_FUEL, Counters, Launch, Outcome, PrintedLine, Trap, address_of, call_host, outside
from .compiler import LONG_SOURCE, build, find_compiler, load, machine, open_library, processor_features
from .plan import Plan, plan
from .separate import is_separate, separate_part, separate_sites
from .source import FOLDER, Part, is_alone, number_sites, part, source, sources
from .timeline import COUNTS, Recorder

MAX_FUEL = 1 << 61
NOT_COMPILED = "not compiled"
"""Why a lane ends that comes to a region which was left out; it goes on from there when it is compiled."""
BATCH_BYTES = LONG_SOURCE // 2
"""Bytes of C of kernels that are compiled together; the rest of `LONG_SOURCE` is for the prelude and the helpers."""
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
def _runtime() -> ctypes.CDLL:
    found = load((FOLDER / "runtime.c").read_text())
    found.gb_run.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_int,
        ctypes.c_void_p,
    )
    found.gb_free.argtypes = (ctypes.c_void_p,)
    return found


def compile_kernel(
    module: Module,
    kernel: str,
    *,
    scalar: bool | None = None,
    registers: int | None = None,
    counts: bool = False,
    timeline: bool = False,
    level: str | None = None,
) -> LaneKernel:
    """Make a kernel of a verified module ready.

    It runs in lanes, unless an estimate says that scalar C is faster; `scalar` and `registers` of a chunk state the choice.
    `counts`: launches count what they do, more slowly; groups are counted in chunks. `timeline`: they record what their threads
    did when, and count. `level` is the C compiler's. Raises `DeviceError` where there is no compiler.
    """
    kernels = [(module, kernel)]
    return compile_kernels(kernels, scalar=scalar, registers=registers, counts=counts, timeline=timeline, level=level)[
        0
    ]


def compile_kernels(
    kernels: Iterable[tuple[Module, str]],
    *,
    scalar: bool | None = None,
    registers: int | None = None,
    counts: bool = False,
    timeline: bool = False,
    level: str | None = None,
) -> list[LaneKernel]:
    """Make many kernels of verified modules ready, with few calls of the compiler; else as `compile_kernel`.

    ``compile_kernels((module, name) for name in module.kernels)``. Where one of them does not compile, none does.
    """
    own = machine()
    found: list[Kernel] = []
    plans: list[Plan] = []
    parts: list[Part] = []
    sites: list[Sequence[Op]] = []
    for module, name in kernels:
        kernel = module.kernels[name]
        if scalar is not False and not (counts or timeline) and is_separate(module, kernel):
            found.append(kernel)
            plans.append(Plan(1, 1, True))
            sites.append(separate_sites(module, kernel))
            parts.append(separate_part(module, kernel, sites[-1]))
            continue
        kernel = prune(inline(module, kernel))
        found.append(kernel)
        plans.append(plan(kernel, own.width, own.vector_registers, scalar=scalar, registers=registers))
        sites.append(list(number_sites(kernel)))
        parts.append(part(kernel, plans[-1], counts=counts or timeline))
    made: dict[int, LaneKernel] = {}
    for places in _batches(parts):
        text = source([parts[place] for place in places])
        library = load(text, level)
        for number, place in enumerate(places):
            made[place] = LaneKernel(
                found[place],
                plans[place],
                text,
                library,
                number,
                sites[place],
                counts=counts or timeline,
                timeline=timeline,
            )
    return [made[place] for place in range(len(found))]


def prepare(
    module: Module,
    kernel: str,
    only: Collection[int] | None = None,
    before: bytes | None = None,
    **options: Any,  # noqa: ANN401  # those of `compile_kernel`
) -> bytes | None:
    """Compile a kernel that is too large for its text to be sent and read again; what `load_prepared` takes. None: it is not.

    `only` are the regions of its machine that are compiled: a lane that comes to others ends by the trap `NOT_COMPILED`, and does nothing
    there. `before` is what this gave for some, which others are added to. Options are those of `compile_kernel`.
    """
    if only is None and kernel in module.compiled:
        return module.compiled[kernel]
    unit = module.kernels[kernel]
    if options.get("scalar") is False or options.get("counts") or options.get("timeline"):
        return None
    if not is_separate(module, unit):
        return None
    sites = separate_sites(module, unit)
    made = separate_part(module, unit, sites, only, is_addition=before is not None)
    count = min(len(os.sched_getaffinity(0)), sum(map(len, made.functions)) // LONG_SOURCE)
    text, *others = sources(made, count) if count > 1 else [source([made])]
    path = str(build(text, options.get("level"), others))
    if before is not None:
        head, paths, features, rows = pickle.loads(before)  # from this program's own memory or cache
        return pickle.dumps((head, [*paths, path], features, rows))
    rows = [(op.name, op.text, op.memory, bool(op.memory and op.operands[0].type.is_signed), op.line) for op in sites]
    rows.append(("trap", NOT_COMPILED, None, False, None))
    head = Kernel(unit.name, unit.parameters, unit.memories, Region(), unit.group)
    return pickle.dumps((head, [path], processor_features(), rows))


def is_there(prepared: bytes) -> bool:
    """Whether the libraries of a prepared kernel are still in the cache, and for a processor like this one."""
    _, paths, features, _ = pickle.loads(prepared)  # from this program's own cache
    return features == processor_features() and all(Path(path).exists() for path in paths)


def load_prepared(prepared: bytes) -> LaneKernel:
    """The kernel that `prepare` compiled in this or another process of the user; `DeviceError` where its library is gone."""
    kernel, paths, _, rows = pickle.loads(prepared)  # from this program's own memory or cache
    library, *added = [open_library(Path(path)) for path in paths]
    for each in added:
        size = ctypes.c_uint64.in_dll(each, "gb_table_size").value
        table, more = ((ctypes.c_void_p * size).in_dll(one, "gb_table") for one in (library, each))
        for place, address in enumerate(more):
            if address and place < size - 1:
                table[place] = address
    return LaneKernel(kernel, Plan(1, 1, True), "", library, 0, _Sites(rows), counts=False, timeline=False)


class _Sites(Sequence[Op]):
    """Operations that may end a lane, made when they are asked for."""

    def __init__(self, rows: Sequence[tuple[str, str, Memory | None, bool, int | None]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401  # a number
        name, text, memory, is_signed, line = self._rows[place]
        index = (Value(Type.I64 if is_signed else Type.U64),) if memory else ()
        return Op(name, index, memory=memory, text=text, line=line)


def _batches(parts: Sequence[Part]) -> Iterable[list[int]]:
    """Places of parts that are compiled together: they have one prelude, and no more text than is compiled without hurry."""
    alike: dict[tuple[int, int], list[list[int]]] = {}
    room: dict[tuple[int, int], int] = {}
    for place, each in enumerate(parts):
        key, size = (each.width, each.registers), len(each.text)
        if room.get(key, 0) < size:
            alike.setdefault(key, []).append([])
            room[key] = BATCH_BYTES
        alike[key][-1].append(place)
        room[key] -= size
    return [batch for batches in alike.values() for batch in batches]


def describe() -> str:
    """What stands behind this back end on this host; `DeviceError` where there is no compiler."""
    own = machine()
    return f"C by {Path(find_compiler()[0]).name}: {own.width} lanes in a vector ({own.name}), {_runtime().gb_threads()} threads"


def limits() -> dict[str, int]:
    """What this back end allows beside the limits of the IR, and what it has: threads, lanes of 32 bits in a vector."""
    return {
        "operations_of_a_kernel": MAX_OPERATIONS,
        "threads": int(_runtime().gb_threads()),
        "lanes_of_a_vector": machine().width,
    }


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
        self._runtime = _runtime()

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
        values = [own(given[name]) for name, own in self._scalars]
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
        units = -(-launch.lanes // lanes_a_unit)
        recorder = None
        if self._is_recorded:
            recorder = Recorder(at, LaunchRecord.counts.offset, LaunchRecord.traps.offset)
            record.phase = ctypes.cast(self._runtime.gb_phase, ctypes.c_void_p).value
        stamps = recorder.address if recorder else None
        status = self._runtime.gb_run(self._function, at, units, self._scratch_bytes, self._is_alone, stamps)
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
