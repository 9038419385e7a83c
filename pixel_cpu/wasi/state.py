"""What all lanes have: descriptors, files, directories, texts, and where their output goes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np

from ..runtime.printed import Sink
from .abi import errno_of
from .call import Call
from .descriptors import Descriptors, Kind
from .files import Files, HostFile
from .guest import Array, Index
from .lists import Inputs, Lists
from .preopens import Preopen, Roots


class State:
    """The state that calls read and change. `texts` are the lists of arguments and of variables."""

    def __init__(
        self,
        lanes: int,
        texts: tuple[Lists, Lists],
        stdin: Inputs,
        directories: Sequence[Preopen],
        seed: int | None,
        sink: Sink,
        descriptors: int,
        host_files: int | None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self.lanes, self.seed, self.sink, self.stdin = lanes, seed, sink, stdin
        self.arguments, self.environment = texts
        self.files = Files(host_files)
        self.roots = Roots(directories, lanes, self.files, numbers)
        self.names = [os.fsencode(each.guest) for each in directories]
        self.name_lengths = np.array([len(name) for name in self.names], np.int64)
        self.descriptors = Descriptors(lanes, len(directories), descriptors)
        self.listings: dict[tuple[int, int], list[bytes]] = {}
        self.exit_codes: Array = np.zeros(lanes, np.int64)
        self.drawn: Index = np.zeros(lanes, np.int64)
        self.begun, self.begun_cpu = time.monotonic_ns(), time.process_time_ns()

    def root_of(self, lane: int, preopen: int) -> HostFile:
        """The directory behind a lane's preopen. Raises `OSError`."""
        return self.roots.of(lane, preopen)

    def preopen_of(self, lanes: Index, numbers: Array) -> Array:
        """The preopens that descriptors came from."""
        table = self.descriptors.table
        found: Array = table["preopen"][lanes, np.minimum(numbers, table.shape[1] - 1)]
        return found

    def is_writable(self, lanes: Index, numbers: Array) -> Array:
        """Whether descriptors are of directories, or of what is in them, that may be written."""
        found: Array = self.roots.is_writable[self.preopen_of(lanes, numbers)]
        return found

    def files_of(self, call: Call, at: Index, fd: Array) -> Array:
        """The file number behind each row's descriptor, for rows without an error then."""
        numbers = self.descriptors.table["file"][call.lanes[at], fd[at]].astype(np.int64)
        for place in np.flatnonzero(numbers < 0).tolist():
            row = at[place]
            descriptor = self.descriptors.table[call.lanes[row], fd[row]]
            try:
                numbers[place] = self.roots.of(int(call.lanes[row]), int(descriptor["preopen"])).number
            except OSError as error:
                call.fail(int(row), errno_of(error))
        found: Array = numbers[call.errors[at] == 0]
        return found

    def bytes_left(self, lanes: Index, number: Array) -> int:
        """Bytes that a read of one lane's file would still find. Raises `OSError`."""
        row = self.descriptors.get(lanes, number)[0]
        return os.fstat(self.files.host(self.files[int(row["file"])])).st_size - int(row["position"])

    def before_removal(self, parent: int, name: bytes) -> None:
        """A name is about to go, or to become another file's."""
        if self.files.closed:
            try:
                found = os.stat(name.rstrip(b"/"), dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                return
            self.files.before_removal(found)

    def close_descriptors(self, lanes: Index, numbers: Array) -> None:
        """Close descriptors of lanes."""
        rows = self.descriptors.get(lanes, numbers)
        held = rows["file"][np.isin(rows["kind"], (Kind.FILE, Kind.DIRECTORY))]
        for number, users in zip(*(each.tolist() for each in np.unique(held, return_counts=True)), strict=True):
            self.files.release(self.files[number], users)
        if self.listings:
            for key in zip(lanes.tolist(), numbers.tolist(), strict=True):
                self.listings.pop(key, None)
        self.descriptors.free(lanes, numbers)

    def finish(self, lanes: Index) -> None:
        """Close what lanes have open; they are over."""
        places, numbers = np.nonzero(self.descriptors.table["kind"][lanes])
        self.close_descriptors(lanes[places], numbers)
        self.roots.release(lanes)
