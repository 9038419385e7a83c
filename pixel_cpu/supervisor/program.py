"""A WASI program in lanes, from its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..runtime.device import Device
from ..runtime.printed import Part
from ..runtime.program import shared_device
from ..runtime.wasm import WasmProgram
from ..wasi import Preopen, Wasi
from .lanes import Processes


def processes(
    source: str | Path | bytes | WasmProgram,
    lanes: int | None = None,
    *,
    arguments: Sequence[str] | Sequence[Sequence[str]] = (),
    environment: Mapping[str, str] | Sequence[Mapping[str, str]] = {},  # never changed
    stdin: bytes | Sequence[bytes] = b"",
    directories: Sequence[Preopen] = (),
    seed: int | None = None,
    pages: int | None = None,
    device: str | Device = "cpu",
    **options: Any,  # noqa: ANN401  # those of `Processes`
) -> Processes:
    """A WASI program in lanes, none of which has begun: `Processes.run`, `step` and `events` run them.

    `arguments` (the program's name first), `environment` and `stdin` are one for all lanes or one for each; without `lanes` there are as many as
    lists of arguments. ``{id}`` in a directory is the lane's number. `pages` of 64 KiB are what a lane's memory may grow to.

    >>> found = px.processes("count.wasm", arguments=[["count", "a"], ["count", "b"]], directories=[Preopen("data", "/")])
    >>> found.run()
    >>> found.table()["exit_code"], found.output(1)

    Raises `WasmError` and `UsageError` as `px.wasm` and `Wasi` do.
    """
    program = source if isinstance(source, WasmProgram) else WasmProgram.read(source, pages)
    has_own = bool(arguments) and not isinstance(arguments[0], str)
    if lanes is None:
        lanes = len(arguments) if has_own else 1
    if lanes < 1:
        raise UsageError(f"{lanes} lanes; give one at least")
    for what, given in (
        ("arguments", arguments if has_own else None),
        ("environments", environment),
        ("inputs", stdin),
    ):
        if given is not None and not isinstance(given, (bytes, Mapping)) and len(given) != lanes:
            raise UsageError(f"there are {len(given)} {what} for {lanes} lanes; give one for all, or one for each")

    def make(chosen: NDArray[np.int64], sink: Part) -> Wasi:
        numbers = chosen.tolist()
        return Wasi(
            len(numbers),
            [arguments[lane] for lane in numbers] if has_own else arguments,
            environment if isinstance(environment, Mapping) else [environment[lane] for lane in numbers],
            stdin=stdin if isinstance(stdin, bytes) else [stdin[lane] for lane in numbers],
            directories=directories,
            seed=seed,
            sink=sink,
            numbers=numbers,
        )

    own = shared_device(device) if isinstance(device, str) else device
    return Processes(program, lanes, make, device=own, **options)
