"""The first tier: functions run in rounds at once, as tables that the software GPU interprets, while their own code is not compiled yet."""

from __future__ import annotations

from functools import cache

from ..backends.lane_c import interpreter
from ..frontends.wasm.module import Module as WasmModule
from ..frontends.wasm.posts import POSTED, POSTED_BYTES, POSTS, posting
from ..frontends.wasm.resumable import GROUP, KERNEL, LANES, SHARE, Resumable, frames_of, lane_memories, stops
from ..frontends.wasm.state import State
from ..frontends.wasm.steps import ACCESSES, REASONS, STEPS, computations
from ..frontends.wasm.tables import tables
from ..ir.model import Kernel, Module, Region, Value
from ..ir.types import Type


@cache
def _steps() -> interpreter.Steps:
    return interpreter.Steps(STEPS, computations(), ACCESSES, REASONS)


def interpreted(module: WasmModule, state: State, function: int) -> Resumable | None:
    """What `resumable` gives, with tables in the place of code; None where only translation runs the function."""
    members, direct = stops(module, state, function)
    found = tables(module, state, function, members, direct)
    if found is None:
        return None
    frames = frames_of(members)
    posted = posting(module, state)
    memories = (*state.memories, frames, *lane_memories(posted))
    kernel = Kernel(KERNEL, (Value(Type.U32, SHARE),), memories, Region(), GROUP)
    places = {memory.name: place for place, memory in enumerate(kernel.buffers)}
    memory = state.memory
    head = {
        "memory": places[memory.buffer.name] if memory else -1,
        "pages": places[memory.sizes.name] if memory and memory.sizes else -1,
        "frames": places[frames.name],
        **{each.name.removeprefix("lane."): places[each.name] for each in LANES},
        "posting": posted,
        "posts": places.get(POSTS.name, -1),
        "posted": places.get(POSTED.name, -1),
        "posted_bytes": POSTED_BYTES,
        "stack_cells": state.stack_cells,
        "stride": memory.stride if memory else 0,
        "minimum": memory.minimum if memory else 0,
    }
    parts = {name: getattr(found, name) for name in interpreter.TABLES}
    path = interpreter.build_interpreter(_steps())
    made = interpreter.prepare(path, kernel, head, parts, found.scratch, tuple(REASONS.values()))
    return Resumable(Module({KERNEL: kernel}, compiled={KERNEL: made}), found.owners, found.entry, True, found.sizes)
