"""Where the lanes of a run in rounds are: the next part of each, and the cells of its frames.

A frame is the part to return to, the caller's frame, the locals and the values of the stack. Operands of a call lie behind it, as a frame of
what is called, and results lie where the operands did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends.launch import Array
from ..frontends.wasm.frames import HEAD
from ..frontends.wasm.numeric import TYPES
from ..frontends.wasm.opcodes import ValueType
from ..frontends.wasm.posts import POSTED, POSTED_BYTES, POSTS, WIDTH
from ..frontends.wasm.resumable import EXIT, FRAME, KERNEL, LANES, PART, Resumable
from .wasm_instances import Instances

MAX_BACKTRACE = 1000
"""Names of a backtrace."""


class LaneFrames:
    """Buffers of all lanes of `instances` that run `found`: `buffers` are by name, those of `LANES` and that of the frames."""

    def __init__(self, instances: Instances, found: Resumable) -> None:
        lanes, stack_cells = instances.lanes, instances.program.state.stack_cells
        self.module, self.owners = instances.program.module, found.owners
        self.buffers = {memory.name: instances.zeros(memory, lanes) for memory in LANES}
        (frames,) = [each for each in found.program.kernels[KERNEL].buffers if each.name.startswith("frames")]
        self.posts: Array | None = None
        """A row of numbers for each lane, as `posts` says; None where no call is answered in place."""
        if POSTS in found.program.kernels[KERNEL].buffers:
            self.buffers[POSTS.name] = instances.zeros(POSTS, lanes * WIDTH)
            self.buffers[POSTED.name] = instances.zeros(POSTED, lanes * POSTED_BYTES, is_cleared=False)
            self.posts = self.buffers[POSTS.name].reshape(lanes, WIDTH)
        self.buffers[frames.name] = held = instances.zeros(frames, lanes * stack_cells, is_cleared=False)
        self.cells = held.reshape(lanes, stack_cells) if found.is_apart else held.reshape(stack_cells, lanes).T
        """A row for each lane."""
        self.cells[:, 0] = np.uint64(EXIT & 0xFFFFFFFF)
        self.cells[:, 1] = 0
        self.buffers[PART.name][:] = found.entry
        self._sizes = np.array([found.sizes[each] for each in found.owners], np.int64)

    def put(self, lanes: Array, first: Array, place: int, values: Array) -> None:
        """Set a cell of each lane's frame."""
        bits = np.broadcast_to(values, lanes.shape)
        self.cells[lanes, first + place] = np.ascontiguousarray(bits).view(f"u{bits.dtype.itemsize}")

    def get(self, lanes: Array, first: Array, place: int, dtype: np.dtype[Any]) -> Array:
        """What a cell of each lane's frame holds."""
        bits = self.cells[lanes, first + place]
        found: Array = bits.astype(f"u{dtype.itemsize}").view(dtype)
        return found

    def values(self, lanes: Array, first: Array, kinds: Sequence[ValueType]) -> tuple[Array, ...]:
        """Operands or results that lie in a frame."""
        return tuple(self.get(lanes, first, HEAD + place, TYPES[each].dtype) for place, each in enumerate(kinds))

    def behind(self, lanes: Array) -> Array:
        """The first cell behind each lane's frame."""
        found: Array = self.buffers[FRAME.name][lanes].astype(np.int64) + self._sizes[self.buffers[PART.name][lanes]]
        return found

    @property
    def posted(self) -> Array:
        """The records of what each lane wrote, a row of bytes each."""
        return self.buffers[POSTED.name].reshape(-1, POSTED_BYTES)

    def backtrace(self, lane: int) -> tuple[str, ...]:
        """Names of the functions that a lane is in, the innermost first; those that were put in place of their calls are not among them."""
        part, frame = int(self.buffers[PART.name][lane]), int(self.buffers[FRAME.name][lane])
        found: list[str] = []
        while 0 <= part < len(self.owners) and len(found) < MAX_BACKTRACE:
            found.append(self.module.name_of(self.owners[part]))
            part = int(self.cells[lane, frame].astype(np.uint32).astype(np.int32))
            frame = int(self.cells[lane, frame + 1])
        return tuple(found)
