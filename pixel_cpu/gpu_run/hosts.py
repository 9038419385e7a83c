"""The hosts of lanes, as the options want them."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..runtime.printed import Part
from ..wasi import Preopen, Wasi
from .glassbox_host import GlassboxWasi
from .inputs import (
    check_folder,
    for_lane,
    is_per_lane,
    lane_arguments,
    own_folder_pattern,
    parse_environment,
    parse_folder,
    read_arguments,
    read_input,
)


class LaneHosts:
    """What each lane gets: `make` gives the host of some lanes, `folder` the folder of a lane's own. `has_glassbox`: the host serves ``glassbox`` too.

    Raises `UsageError` for options that cannot be.
    """

    def __init__(self, options: argparse.Namespace, *, has_glassbox: bool = False) -> None:
        if options.args_file == "-" and options.stdin == "-":
            raise UsageError("--args-file - and --stdin - both want standard input; put one of them into a file")
        lines = None if options.args_file is None else read_arguments(options.args_file)
        self.has_glassbox = has_glassbox
        name = Path(options.module).name
        self.arguments = lane_arguments(name, options.lanes, lines, options.rest, options.args_file or "")
        self.lanes = len(self.arguments)
        self.environment = parse_environment(options.env)
        self.folders = [parse_folder(text) for text in options.dir]
        for folder in self.folders:
            check_folder(folder.host)
        self.is_writable, self.seed, self.stdin = options.rw, options.seed, options.stdin
        self.own = own_folder_pattern(options.out_dir, self.lanes) if options.out_dir else None
        if options.stdout == "dir" and not self.own:
            raise UsageError("--stdout dir writes to the folder of each lane; name it with --out-dir 'lane-{id}/'")
        self._has_own_variables = any(map(is_per_lane, self.environment.values()))
        self._shared_input = None
        if self.stdin is None:
            self._shared_input = b""
        elif not is_per_lane(self.stdin):
            self._shared_input = read_input(self.stdin)

    def folder(self, lane: int) -> Path:
        """The folder of a lane's own, which is made where it is not there."""
        assert self.own
        path = Path(for_lane(self.own.host, lane))
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out-dir {path}: {error.strerror}") from None
        return path

    def make(self, lanes: NDArray[np.int64], sink: Part) -> Wasi:
        """The host of lanes with these numbers, whose output goes to `sink`."""
        numbers = lanes.tolist()
        directories = [Preopen(each.host, each.guest, self.is_writable) for each in self.folders]
        if self.own:
            directories.append(Preopen(self.own.host, self.own.guest, is_writable=True))
            for lane in numbers:
                self.folder(lane)
        host = GlassboxWasi if self.has_glassbox else Wasi
        return host(
            len(lanes),
            [self.arguments[lane] for lane in numbers],
            [self._variables(lane) for lane in numbers] if self._has_own_variables else self.environment,
            stdin=self._shared_input
            if self._shared_input is not None
            else [read_input(for_lane(self.stdin, lane)) for lane in numbers],
            directories=directories,
            seed=self.seed,
            sink=sink,
            numbers=numbers,
        )

    def _variables(self, lane: int) -> dict[str, str]:
        return {name: for_lane(value, lane) for name, value in self.environment.items()}
