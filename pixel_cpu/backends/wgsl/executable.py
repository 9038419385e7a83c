"""Kernels on a GPU: a shader for each size of group, launches in parts, traps and prints read back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DeviceError, LaunchError
from ...ir.bits import from_bits, to_bits
from ...ir.limits import MAX_GROUP, MAX_WORKGROUP_BYTES
from ...ir.model import Bounds, Kernel, Memory, Module
from ...ir.types import Type
from ..launch import Array, Launch, Outcome, Part, PrintedLine, Trap, next_lane, outside
from .device import Device, DeviceBuffer
from .shader import PARAMETERS, Shader, write_shader
from .timeline import Pass, make_timeline
from .writer import Site

MAX_GROUPS = 65_535
"""Groups of a dispatch in one dimension: WebGPU's limit."""
PART_LANES = 1 << 20
"""Lanes of a part of a launch, at most: each has a record for its trap."""
PRINT_WORDS = 1 << 20
"""Words for the lines of a launch."""
_OWN_BINDINGS = 4
"""Storage buffers of the back end's own, at most."""
_FASTER = 8
"""So many times the groups of a part that have run may follow at once: of the first ones most is what a dispatch takes."""
_NOBODY = 0xFFFFFFFF


def compile_kernel(
    module: Module,
    kernel: str,
    *,
    device: Device | None = None,
    pairs: bool | None = None,
    machine: bool | None = None,
    timeline: bool = False,
) -> Program:
    """Make a kernel of a verified module ready for a GPU.

    `pairs` holds 64-bit integers as pairs of words (default: where the device has none), `machine` writes blocks in a loop in
    place of structure (default: where the program is deep or has many accesses). `timeline`: launches record copies and passes. Raises
    `DeviceError` for what the device cannot do.
    """
    return Program(module, module.kernels[kernel], device or Device.default(), pairs, machine, timeline)


def describe() -> str:
    """What stands behind this back end on this host; `DeviceError` where there is no adapter."""
    return f"WGSL on {Device.default().name}"


def limits() -> dict[str, int]:
    """What the device allows beside the limits of the IR; `DeviceError` where there is no adapter."""
    device = Device.default()
    bindings = device.limit("max-storage-buffers-per-shader-stage") - _OWN_BINDINGS
    return {
        "lanes_of_a_group": min(MAX_GROUP, device.limit("max-compute-invocations-per-workgroup")),
        "bytes_of_a_group": min(MAX_WORKGROUP_BYTES, device.limit("max-compute-workgroup-storage-size")),
        "bytes_of_a_buffer": min(device.limit("max-storage-buffer-binding-size"), device.limit("max-buffer-size")) - 16,
        "buffers_of_a_kernel": bindings,
    }


class Program:
    """A kernel on a device. `run` takes arrays, and `DeviceBuffer` for what stays there."""

    def __init__(
        self,
        module: Module,
        kernel: Kernel,
        device: Device,
        pairs: bool | None = None,
        machine: bool | None = None,
        timeline: bool = False,
    ) -> None:
        self._is_recorded = timeline
        self.module, self.kernel, self.device = module, kernel, device
        self.backend = f"wgsl on {device.name}"
        self.pairs = "shader-int64" not in device.features if pairs is None else pairs
        self._machine = machine
        self._built: dict[int, _Built] = {}
        self._own: dict[str, DeviceBuffer] = {}
        """Buffers for arrays, kept for the next launch of the same size."""
        self.shader(kernel.group)

    def shader(self, group: int) -> Shader:
        """The shader for a size of group, as text and layout."""
        return self._build(group).shader

    def _build(self, group: int) -> _Built:
        if group not in self._built:
            most = self.device.limit("max-compute-invocations-per-workgroup")
            if group > most:
                raise DeviceError(f"groups of {group} lanes; {self.device.name} has at most {most}")
            shader = write_shader(self.module, self.kernel, group, self.pairs, self._machine)
            missing = shader.features - self.device.features
            if missing:
                raise DeviceError(f"kernel {self.kernel.name} needs {', '.join(sorted(missing))} of {self.device.name}")
            bindings = len(shader.buffers) + _OWN_BINDINGS
            if bindings > self.device.limit("max-storage-buffers-per-shader-stage"):
                raise DeviceError(
                    f"kernel {self.kernel.name}: {len(shader.buffers)} buffers, more than the device binds"
                )
            self._built[group] = _Built(self.device, shader, group)
        return self._built[group]

    def run(self, launch: Launch) -> Outcome:
        """Run a launch that `check` accepted; arrays are changed in place, buffers on the device."""
        built = self._build(launch.group)
        stamps = [time.monotonic_ns()]
        build_seconds = built.warm_up()
        stamps.append(time.monotonic_ns())
        bound, copied = self._bind(built.shader, launch)
        stamps.append(time.monotonic_ns())
        answer = built.run(launch, bound)
        stamps.append(time.monotonic_ns())
        for memory, array in copied:
            bound[memory.name].download(array)
        stamps.append(time.monotonic_ns())
        outcome = self._outcome(built.shader, launch, bound, answer)
        outcome.seconds, outcome.build_seconds = (time.monotonic_ns() - stamps[1]) * 1e-9, build_seconds
        if self._is_recorded:
            is_first = build_seconds > 0
            outcome.timeline = make_timeline(self.kernel.name, launch, stamps, answer.passes, is_first=is_first)
        return outcome

    def _bind(self, shader: Shader, launch: Launch) -> tuple[dict[str, DeviceBuffer], list[tuple[Memory, Array]]]:
        """Buffers on the device for all that is given, and the arrays that come back."""
        bound: dict[str, DeviceBuffer] = {}
        copied: list[tuple[Memory, Array]] = []
        for memory in shader.buffers:
            given: Any = launch.buffers[memory.name]
            if isinstance(given, DeviceBuffer):
                if given.device is not self.device:
                    raise LaunchError(f"{self.kernel.name}: {memory.name} lies on another device")
                bound[memory.name] = given
                continue
            own = self._own.get(memory.name)
            if own is None or len(own) != len(given):
                own = self._own[memory.name] = DeviceBuffer(self.device, len(given), given.dtype)
            own.upload(given)
            bound[memory.name] = own
            if memory in shader.written:
                copied.append((memory, given))
        return bound, copied

    def _outcome(self, shader: Shader, launch: Launch, bound: dict[str, DeviceBuffer], answer: _Answer) -> Outcome:
        trap = None
        if answer.traps:
            site = shader.sites[answer.record[0]]
            trap = Trap(answer.lane, _reason(site, answer.record[1:], bound), site.op.line)
        printed, dropped = _lines(shader.sites, answer.prints, launch.printed_lines)
        dropped += answer.dropped
        return Outcome(
            self.backend,
            trap,
            answer.traps,
            None,
            tuple(printed),
            dropped,
            device_seconds=answer.device_seconds,
            next_lane=next_lane(launch, answer.done, launch.group),
        )


class _Answer:
    """What a launch left in its status: lowest lane, lanes that trapped, its record, the words of the lines."""

    def __init__(self) -> None:
        self.lane, self.traps, self.dropped = _NOBODY, 0, 0
        self.record = (0, 0, 0)
        self.prints: Array = np.zeros(0, np.uint32)
        self.device_seconds: float | None = None
        self.passes: list[Pass] = []
        self.done = 0
        """The group after the last one that ran."""


class _Built:
    """A shader's pipeline with the buffers that each launch needs."""

    def __init__(self, device: Device, shader: Shader, group: int) -> None:
        self.device, self.shader, self.group = device, shader, group
        self.pipeline: Any = None
        self.groups: dict[tuple[int, ...], Any] = {}
        self.pace_ns = 0.0
        """What a group took in the part that ran last."""
        self.records: DeviceBuffer | None = None
        self.scratch: DeviceBuffer | None = None

    @property
    def part(self) -> int:
        """Groups of one dispatch, at most."""
        lanes = PART_LANES
        if self.shader.scratch_words:
            most = self.device.limit("max-storage-buffer-binding-size") - 64
            lanes = min(lanes, most // 4 // self.shader.scratch_words)
        if lanes < self.group:
            raise DeviceError(f"private memory of {self.group} lanes does not fit a binding of {self.device.name}")
        return min(MAX_GROUPS, lanes // self.group)

    def warm_up(self) -> float:
        """Compile at the first call, and run once without lanes: drivers compile as late as that. Gives the seconds."""
        if self.pipeline is not None:
            return 0.0
        start = time.perf_counter()
        device = self.device
        self.uniform = device.uniform(self.shader.words * 4)
        self.status, self.blank = device.storage(16), device.storage(16)
        device.write(self.blank, np.array([_NOBODY, 0, 0, 0], np.uint32))
        self.prints = DeviceBuffer(device, PRINT_WORDS, np.dtype(np.uint32)) if self.shader.has_prints else None
        self.pipeline, self.layout = device.pipeline(self.shader.text, self.shader.bindings)
        empty = {memory.name: DeviceBuffer(device, 0, memory.element.dtype) for memory in self.shader.buffers}
        launch = Launch(0, self.group, {name: 0 for name in self.shader.scalars}, {})
        self.dispatch(launch, empty, 0, 1)
        self.groups.clear()
        return time.perf_counter() - start

    def run(self, launch: Launch, bound: dict[str, DeviceBuffer]) -> _Answer:
        """Run all dispatches of the launch, or of its part, lowest lanes first."""
        answer = _Answer()
        device = self.device
        if self.prints:
            device.write(self.prints.raw, np.zeros(2, np.uint32))
        seconds = 0.0
        own = launch.part or Part()
        begin, last = own.units(launch.lanes, launch.group)
        started_ns, answer.done = time.monotonic_ns(), begin
        while answer.done < last:
            first = answer.done
            if first > begin and own.stop is not None and own.stop[0]:
                break
            part = min(self.part, last - first)
            if own.budget_ns:
                spent_ns = time.monotonic_ns() - started_ns
                if first > begin and spent_ns >= own.budget_ns:
                    break
                # At the pace of the part before, or so far; a first try may take no longer than what cannot be cut further.
                pace = spent_ns / (first - begin) if first > begin else self.pace_ns if begin else 0.0
                fits = (own.budget_ns - spent_ns) / pace if pace else 1
                part = max(min(part, int(fits), _FASTER * max(first - begin, 1) if first > begin else part), 1)
            answer.done = first + part
            begin_ns = time.monotonic_ns()
            found, began, ended = self.dispatch(launch, bound, first, part, is_first=first == begin)
            seconds += max(ended - began, 0) * 1e-9
            device_ns = (began, ended) if device.has_timestamps else None
            answer.passes.append(Pass(first, first + part, begin_ns, time.monotonic_ns(), device_ns))
            answer.lane, traps = int(found[0]), int(found[1])
            if traps and not answer.traps:
                assert self.records is not None
                place = answer.lane - first * self.group
                record = device.read(self.records.raw, 12, place * 12).view(np.uint32)
                answer.record = (int(record[0]), int(record[1]), int(record[2]))
            answer.traps = traps
        if answer.done > begin:
            self.pace_ns = (time.monotonic_ns() - started_ns) / (answer.done - begin)
        answer.device_seconds = seconds if device.has_timestamps else None
        if self.prints:
            used, answer.dropped = device.read(self.prints.raw, 8).view(np.uint32).tolist()
            answer.prints = device.read(self.prints.raw, 4 * min(used, PRINT_WORDS - 2), 8).view(np.uint32)
        return answer

    def dispatch(
        self, launch: Launch, bound: dict[str, DeviceBuffer], first: int, groups: int, *, is_first: bool = True
    ) -> tuple[Array, int, int]:
        """Run some groups and wait; gives the words of the status, and begin and end in nanoseconds of the device's clock."""
        device = self.device
        self.grow(groups * self.group)
        device.write(self.uniform, self.parameters(launch, bound, first))
        with device.guarded():
            encoder = device.device.create_command_encoder()
            if is_first:
                encoder.copy_buffer_to_buffer(self.blank, 0, self.status, 0, 16)
            times: dict[str, Any] = {}
            if device.has_timestamps:
                times["timestamp_writes"] = {
                    "query_set": device.queries,
                    "beginning_of_pass_write_index": 0,
                    "end_of_pass_write_index": 1,
                }
            work = encoder.begin_compute_pass(**times)
            work.set_pipeline(self.pipeline)
            work.set_bind_group(0, self.bind_group(bound))
            work.dispatch_workgroups(groups)
            work.end()
            found = device.submit_and_read(encoder, self.status, 16)
        begin, end = found[16:].view(np.uint64).tolist()
        return found[:16].view(np.uint32), begin, end

    def grow(self, lanes: int) -> None:
        """Have records and private memory for so many lanes."""
        if self.records is None or len(self.records) < 3 * lanes:
            self.records = DeviceBuffer(self.device, 3 * lanes, np.dtype(np.uint32))
            self.groups.clear()
        if self.shader.scratch_words and (
            self.scratch is None or len(self.scratch) < lanes * self.shader.scratch_words
        ):
            self.scratch = DeviceBuffer(self.device, lanes * self.shader.scratch_words, np.dtype(np.uint32))
            self.groups.clear()
        self.lanes = lanes

    def bind_group(self, bound: dict[str, DeviceBuffer]) -> Any:  # noqa: ANN401
        """The bind group for buffers; kept while they are the same."""
        assert self.records
        raws = [self.status, self.records.raw, *(bound[memory.name].raw for memory in self.shader.buffers)]
        key = tuple(id(raw) for raw in raws)
        if key not in self.groups:
            extra = [buffer.raw for buffer in (self.prints, self.scratch) if buffer]
            pairs = enumerate([self.uniform, *raws, *extra])
            if len(self.groups) >= 64:
                self.groups.clear()
            entries = [{"binding": n, "resource": {"buffer": raw, "offset": 0, "size": raw.size}} for n, raw in pairs]
            group = self.device.device.create_bind_group(layout=self.layout, entries=entries)
            # The buffers are kept too, so that no other takes their ids.
            self.groups[key] = group, raws
        return self.groups[key][0]

    def parameters(self, launch: Launch, bound: dict[str, DeviceBuffer], first: int) -> Array:
        """The uniform block of a part."""
        words = np.zeros(self.shader.words, np.uint32)
        fuel = min(launch.fuel, (1 << 62))
        words[: len(PARAMETERS)] = (
            launch.lanes,
            first * self.group,
            first,
            launch.groups,
            fuel & 0xFFFFFFFF,
            fuel >> 32,
            0,
            self.lanes,
        )
        for name, place in self.shader.lengths.items():
            words[place] = len(bound[name])
        for name, (place, kind) in self.shader.scalars.items():
            raw = to_bits(launch.scalars[name], kind, 32)
            words[place] = raw & 0xFFFFFFFF
            if kind.bits == 64:
                words[place + 1] = raw >> 32
        return words


def _reason(site: Site, words: Sequence[int], bound: dict[str, DeviceBuffer]) -> str:
    """Why a lane ended, as the reference says it."""
    if site.memory is None:
        return site.reason
    assert site.op.bounds is Bounds.TRAP
    kind = site.op.operands[0].type
    index = _value(words, kind)
    size = site.memory.length if site.memory.length is not None else len(bound[site.memory.name])
    return outside(int(index), site.memory.name, size)


def _value(words: Sequence[int], kind: Type) -> int | float | bool:
    """The value of a type from its words."""
    return from_bits(words[0] | words[1] << 32 if kind.bits == 64 else words[0], kind)


def _lines(sites: Sequence[Site], words: Array, most: int) -> tuple[list[PrintedLine], int]:
    """Lines in order of lane and time, and how many were too many."""
    found: list[tuple[int, int, str]] = []
    given = words.tolist()
    at = 0
    while at + 3 <= len(given):
        lane, number, place = given[at : at + 3]
        at += 3
        op = sites[place].op
        parts = [op.text]
        for value in op.operands:
            width = 1 + (value.type.bits == 64)
            parts.append(repr(_value(given[at : at + width], value.type)))
            at += width
        found.append((lane, number, " ".join(part for part in parts if part)))
    found.sort(key=lambda line: line[:2])
    return [PrintedLine(lane, text) for lane, _, text in found[:most]], max(len(found) - most, 0)
