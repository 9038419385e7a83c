"""A learned loop over many inputs at once: each lane has its own registers and its own slices of memory.

>>> rounds = Batch.load("library/busybox+0x94430")
>>> found = rounds.run({"rsp": Slices(words), "r14": table}, {"r10": 0, "rsp": -0x28, "rsi": state[4], ...})
>>> found.registers["rdx"]

What is the same for all lanes is computed once, and what is not is read by consecutive lanes from consecutive places: a register that is given as
a number is the lanes' common one, and slices are interleaved. A loop whose addresses come from numbers then runs as fast in lanes as vectors do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.launch import Array
from ..errors import UsageError
from ..frontends.x86.registers import CELLS
from ..ir.model import Module
from ..runtime.device import Device
from ..runtime.program import Kernel
from .loop_library import LearnedLoop, read_loop
from .placed import TILE, Region, Shared, kernel_of

_MOST_ROUNDS = (1 << 64) - 1


class Slices:
    """Memory of which each lane has its own slice, interleaved by words in tiles of lanes.

    Kernels change it in place, so it goes from one loop to the next as it is. `words` has the words of a tile's lanes side by side; its
    shape is (tiles, words of a slice, lanes of a tile).
    """

    def __init__(self, rows: Array, word_bytes: int = 4, *, tile: int = TILE) -> None:
        """`rows` are the slices, an array of ``uint8`` of shape (lanes, bytes); `word_bytes` is 1, 4 or 8.

        Accesses must not reach over the end of a word that they do not begin; words of 1 byte take any, more slowly. `tile` lanes are interleaved;
        1 leaves them as they are, which is what scalar code wants.
        """
        if rows.ndim != 2 or rows.dtype != np.uint8 or word_bytes not in (1, 4, 8):
            raise UsageError("slices are an array of uint8 of shape (lanes, bytes), in words of 1, 4 or 8 bytes")
        self.lanes, self.slice_bytes = rows.shape
        self.tile = tile
        tiles, words = -(-self.lanes // tile), -(-self.slice_bytes // word_bytes)
        padded = np.zeros((tiles * tile, words * word_bytes), np.uint8)
        padded[: self.lanes, : self.slice_bytes] = rows
        apart = padded.view(f"<u{word_bytes}").reshape(tiles, tile, words)
        self.words = np.ascontiguousarray(apart.transpose(0, 2, 1))

    def rows(self) -> Array:
        """The slices as they are now: a copy, ``uint8`` of shape (lanes, bytes)."""
        apart = np.ascontiguousarray(self.words.transpose(0, 2, 1))
        return (
            apart.view(np.uint8).reshape(-1, apart.shape[2] * apart.itemsize)[: self.lanes, : self.slice_bytes].copy()
        )


@dataclass(frozen=True)
class Found:
    """What came out, by lane: `rounds` done, the address of the `next` instruction, and `registers` by name; ``uint64``. `seconds` is how long the lanes ran."""

    rounds: Array
    next: Array
    registers: Mapping[str, Array]
    seconds: float


@dataclass(frozen=True)
class Prepared:
    """A run of `Batch` that is ready to be launched."""

    kernel: Kernel
    lanes: int
    tile: int
    arguments: Mapping[str, Any]
    outputs: tuple[str, ...]

    def launch(self, device: str | Device = "cpu") -> Found:
        """Run it, and give what came out; memory is changed in place."""
        outcome = self.kernel.launch(self.lanes, threads=self.tile, device=device, arguments=self.arguments)
        state = self.arguments["state"].reshape(-1, self.lanes).copy()
        after = {name: state[2 + place] for place, name in enumerate(self.outputs)}
        return Found(state[0], state[1], after, outcome.seconds)


class Batch:
    """A learned loop that runs over many inputs; kernels for each way to give them are made once."""

    def __init__(self, loop: LearnedLoop) -> None:
        self.loop = loop
        self._kernels: dict[object, Module] = {}

    @classmethod
    def load(cls, path: str | Path) -> Batch:
        """The loop of a library by its folder and name: ``library/NAME``. `UsageError` where it is not there."""
        file = Path(path)
        return cls(read_loop(file.parent, file.name.removesuffix(".json").removesuffix(".ir")))

    def run(
        self,
        memory: Mapping[str, Slices | Array],
        registers: Mapping[str, int | Array] | None = None,
        *,
        rounds: int = _MOST_ROUNDS,
        lanes: int | None = None,
        device: str | Device = "cpu",
    ) -> Found:
        """Go round in each lane until it leaves the loop or has done `rounds`.

        Args:
            memory: by the register that points to it. `Slices` are each lane's own; an array of ``uint8`` is read by all and written by none.
                Such a register holds the offset in its memory, 0 where `registers` say nothing.
            registers: by name. A number (modulo 2**64) is the same for all lanes; an array has one for each, of ``uint64``, or of ``uint32``
                where the upper half is zero. Flags are 0 where they are not given.
            lanes: how many, where neither slices nor arrays say it.

        Raises `UsageError` for registers that are missing, arrays of other lengths, and an address that follows from none of the pointers or from two; `TrapError` for an access
        outside of its memory, or over the end of a word.
        """
        return self.prepare(memory, registers, rounds=rounds, lanes=lanes).launch(device)

    def prepare(
        self,
        memory: Mapping[str, Slices | Array],
        registers: Mapping[str, int | Array] | None = None,
        *,
        rounds: int = _MOST_ROUNDS,
        lanes: int | None = None,
    ) -> Prepared:
        """As `run`, up to the launch: that can be done again, with the same registers and memory as it is then."""
        given = {**dict.fromkeys(memory, 0), **(registers or {})}
        live = self.loop.lifted.live_in
        missing = [name for name in live if name not in given and not CELLS[name].is_flag]
        if missing:
            raise UsageError(
                f"{self.loop.name} needs {', '.join(missing)}: as a number, or an array with one for each lane"
            )
        count = self._lanes(memory, given, lanes)
        rows = [name for name in live if isinstance(given.get(name), np.ndarray)]
        narrow = frozenset(name for name in rows if np.asarray(given[name]).dtype == np.uint32)
        regions: dict[str, Region | Shared] = {
            name: Region(each.words.dtype.itemsize) if isinstance(each, Slices) else Shared()
            for name, each in memory.items()
        }
        tiles = {each.tile for each in memory.values() if isinstance(each, Slices)} or {TILE}
        if len(tiles) != 1:
            raise UsageError("slices of one run have tiles of one size")
        (tile,) = tiles
        kernel = Kernel(self._module(regions, tuple(rows), narrow, tile), "batch")
        outputs = tuple(name for name in self.loop.lifted.live_out if not CELLS[name].is_flag)
        scalars = {name: _number(given.get(name, 0)) for name in live if name not in rows}
        arguments: dict[str, Any] = {f"{name}_register": value for name, value in scalars.items()}
        kinds = {each.name: each.element.dtype for each in kernel.definition.buffers}
        arguments |= {f"{name}_memory": _flat(each, kinds.get(f"{name}_memory")) for name, each in memory.items()}
        arguments |= {f"{name}_bytes": _size(each) for name, each in memory.items()}
        arguments |= {"head": self.loop.lifted.machine_loop.head, "limit": rounds}
        arguments["given"] = np.array([given[name] for name in rows], np.uint64).reshape(-1)
        arguments["state"] = np.zeros((2 + len(outputs)) * count, np.uint64)
        names = {*kernel.definition.scalars, *kernel.definition.buffer_names}
        return Prepared(kernel, count, tile, {key: arguments[key] for key in names}, outputs)

    def _module(
        self, regions: Mapping[str, Region | Shared], rows: tuple[str, ...], narrow: frozenset[str], tile: int
    ) -> Module:
        key = (tuple(regions.items()), rows, narrow, tile)
        if key not in self._kernels:
            self._kernels[key] = kernel_of(self.loop.lifted, regions, rows, narrow, tile)
        return self._kernels[key]

    def _lanes(self, memory: Mapping[str, Slices | Array], given: Mapping[str, int | Array], lanes: int | None) -> int:
        counts = {each.lanes for each in memory.values() if isinstance(each, Slices)}
        counts |= {len(each) for each in given.values() if isinstance(each, np.ndarray)}
        counts |= {lanes} - {None}
        if len(counts) != 1:
            said = (
                f"they are for {', '.join(map(str, sorted(counts)))} lanes"
                if counts
                else "neither slices nor arrays say it"
            )
            raise UsageError(f"how many lanes? {said}; give lanes=N or arrays of one length")
        return int(counts.pop())


def _number(value: int | Array) -> int:
    return int(value) % (1 << 64)


def _flat(each: Slices | Array, kind: np.dtype[Any] | None) -> Array:
    if isinstance(each, Slices):
        return each.words.reshape(-1)
    if each.dtype != np.uint8 or each.ndim != 1:
        raise UsageError("memory of all lanes is an array of uint8 with one dimension; each lane's own is `Slices`")
    size = kind.itemsize if kind else 1
    return np.concatenate([each, np.zeros(-len(each) % size, np.uint8)]).view(kind or np.uint8)


def _size(each: Slices | Array) -> int:
    if not isinstance(each, Slices):
        return len(each)
    _, words, _ = each.words.shape
    return int(words * each.words.dtype.itemsize)
