"""Traces as NumPy arrays, frame by frame: `TraceReader` over a ``.gbt`` file of any size.

>>> with TraceReader(Path("boot.gbt")) as trace:
...     for blocks in trace.blocks(vcpu=0):                 # one frame at a time, in order
...         hot = np.bincount(blocks.ids, blocks.instructions)
...     trace.info.instructions

A frame stands on its own, so frames may be read in any order and by several processes; nothing of one is kept when the
next is asked for. Positions count blocks: an event at position p of a vCPU came after p of its blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from tcg_plugin.layout import Feature, Scope

from ...errors import TraceError, UsageError
from .block_table import BlockTable
from .container import TraceFile
from .frame import Accesses, Blocks, Events, Frame, RegisterSets
from .symbol_table import SymbolTable


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """Metadata of a trace: sums over all its frames, and what its recorder wrote."""

    path: str
    vcpus: int
    time_ns: int
    file_bytes: int
    frames: int
    blocks: int
    instructions: int
    is_complete: bool
    """False: the recorder was killed or the disk was full; the frames that exist are complete."""
    about: dict[str, Any]
    """From the header: machine, image, features, filters."""
    summary: dict[str, Any]
    """From the index: waits, losses; empty if the file was cut off."""

    @property
    def features(self) -> Feature:
        """What was recorded."""
        return Feature(int(self.about.get("features", 0)) & 0x7F)

    @property
    def is_filtered(self) -> bool:
        """Whether blocks were left out on purpose, so that one need not follow from the one before."""
        whole = Scope.KERNEL | Scope.USER
        return self.about.get("scope", whole) != whole or bool(self.about.get("ranges") or self.about.get("roots"))


class TraceReader:
    """A trace file. Frames are decoded one at a time, when asked for."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`; `TraceError` if it is not a trace, `UsageError` if it cannot be read."""
        self.file = TraceFile(path)
        self.vcpus = self.file.vcpus

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.file.units)

    @cached_property
    def info(self) -> TraceInfo:
        """The metadata, from headers alone."""
        units = self.file.units
        return TraceInfo(
            path=str(self.file.path),
            vcpus=self.vcpus,
            time_ns=self.file.time_ns,
            file_bytes=self.file.size,
            frames=len(units),
            blocks=int(units["blocks"].sum()),
            instructions=int(units["instructions"].sum()),
            is_complete=self.file.is_complete,
            about=self.file.about,
            summary=self.file.summary,
        )

    def frame(self, number: int) -> Frame:
        """Frame `number` from 0 on; `UsageError` if there is none, `TraceError` if it is damaged."""
        if not 0 <= number < len(self):
            raise UsageError(f"there is no frame {number}; give one from 0 to {len(self) - 1}")
        return Frame(self.file, number, self.file.read(number))

    def frames(self) -> Iterator[Frame]:
        """All frames in order."""
        return (self.frame(number) for number in range(len(self)))

    def blocks(self, vcpu: int = 0) -> Iterator[Blocks]:
        """The executed blocks of one vCPU, a frame at a time; `UsageError` if there is no such vCPU."""
        self._validate(vcpu)
        return (frame.blocks(vcpu) for frame in self.frames())

    def events(self, vcpu: int = 0) -> Iterator[Events]:
        """The events of one vCPU, a frame at a time."""
        self._validate(vcpu)
        return (frame.events(vcpu) for frame in self.frames())

    def memory(self, vcpu: int = 0) -> Iterator[Accesses]:
        """The loads and stores of one vCPU, a frame at a time."""
        self._validate(vcpu)
        return (frame.memory(vcpu) for frame in self.frames())

    def registers(self, vcpu: int = 0) -> Iterator[RegisterSets]:
        """The registers of one vCPU at chosen blocks, a frame at a time."""
        self._validate(vcpu)
        return (frame.registers(vcpu) for frame in self.frames())

    def _validate(self, vcpu: int) -> None:
        if not 0 <= vcpu < self.vcpus:
            raise UsageError(f"there is no vCPU {vcpu}; give one from 0 to {self.vcpus - 1}")

    @cached_property
    def dictionary(self) -> BlockTable:
        """Every block of the trace once, by ascending id."""
        parts: dict[int, bytes] = {}
        for frame in self.frames():
            table = frame.dictionary
            for number, block_id in enumerate(table.ids.tolist()):
                if block_id not in parts:
                    parts[block_id] = table.record(number)
        return BlockTable(np.frombuffer(b"".join(parts[number] for number in sorted(parts)), np.uint8).copy())

    @cached_property
    def symbols(self) -> SymbolTable | None:
        """Names of the guest's kernel and modules as they were when the recording began; None in traces without."""
        return self.frame(0).symbols if len(self) else None

    def find_frame(self, instruction: int) -> int:
        """The frame that holds the trace's instruction number `instruction`; `TraceError` beyond its end."""
        units = self.file.units
        ends = units["first_instruction"] + units["instructions"]
        number = int(np.searchsorted(ends, instruction, "right"))
        if number >= len(units):
            raise TraceError(f"the trace has {self.info.instructions} instructions; give a smaller number")
        return number
