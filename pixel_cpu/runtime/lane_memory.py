"""What a lane of a module needs of a device's memory, and how many lanes fit."""

from __future__ import annotations

from ..errors import DeviceError, LimitError
from ..frontends.wasm.posts import POSTED, POSTED_BYTES, POSTS, WIDTH, posting
from ..frontends.wasm.resumable import LANES
from ..ir.limits import MAX_LANES, MAX_LENGTH
from .backends import limits
from .device import Device
from .wasm import WasmProgram

_SPARE_BYTES = 64 << 20
"""What buffers that lanes share may have of a device's memory."""


def bytes_of_lane(program: WasmProgram) -> dict[str, int]:
    """Bytes of each buffer that has a stretch for every lane in rounds, by the buffer's name."""
    state = program.state
    strides = {area.buffer: 0 if area.is_shared else area.stride for area in state.areas}
    found = {}
    for memory in state.memories:
        elements = strides.get(memory, 1 if memory.is_writable else 0)
        if elements:
            found[memory.name] = elements * memory.element.dtype.itemsize
    if posting(program.module, state) >= 0:
        found |= {POSTS.name: WIDTH * POSTS.element.bytes, POSTED.name: POSTED_BYTES}
    return found | {"frames": 8 * state.stack_cells} | {memory.name: memory.element.dtype.itemsize for memory in LANES}


def lanes_of_wave(program: WasmProgram, device: Device, memory: int | None = None) -> int:
    """How many lanes fit into `memory` bytes, the limits of a buffer and those of the device; `LimitError` where none does."""
    budget = device.ledger.limit_bytes - _SPARE_BYTES if memory is None else memory
    return min(most_lanes(bytes_of_lane(program), budget, largest_buffer(device.backend)), MAX_LANES)


def largest_buffer(backend: str) -> int:
    """Bytes that one buffer of a back end may have."""
    try:
        return min(limits(backend).get("bytes_of_a_buffer", MAX_LENGTH), MAX_LENGTH)
    except (ImportError, DeviceError):
        return MAX_LENGTH  # the launch says what is missing


def most_lanes(lane: dict[str, int], budget: int, buffer: int) -> int:
    """How many lanes fit that need the bytes of `lane`, into `budget` bytes and buffers of `buffer` bytes each."""
    total = sum(lane.values()) or 1
    name, largest = max(lane.items(), key=lambda each: each[1], default=("", 1))
    found = min(budget // total, buffer // largest)
    if found < 1:
        what = f"a lane needs {total} bytes, {largest} of them for {name}"
        raise LimitError(
            f"{what}; the memory is {budget} bytes, a buffer at most {buffer}: give lanes fewer pages, or more memory"
        )
    return found
