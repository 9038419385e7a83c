"""A library of learned loops: a folder with two files for each loop.

``NAME.ir`` is the loop in the IR, a program that ``px.load`` and ``glassbox gpu`` take. ``NAME.json`` says where it came from: its machine code,
the registers that it takes and gives, its share of the trace it was found in, and what is known of it since.

>>> write_library(Path("library"), find_loops(found, naming))
>>> for loop in read_library(Path("library")):
...     print(loop.name, loop.found.share, loop.facts.get("class"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qemu_bridge.host.plain_file import read_plain, write_atomic

from ..errors import SourceError, UsageError
from ..frontends.x86 import LiftedLoop, LoopExit, MachineLoop
from ..frontends.x86.registers import CELLS
from ..ir.text import read, write
from ..ir.types import Type
from ..ir.verifier import verify
from .mine import GuestLoop

VERSION = 1
MOST_LOOPS = 1000
"""Loops of one library."""
_MODE = 0o644
_MOST_BYTES = 16 << 20
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,80}")
_FOUND = ("symbol", "process", "ring", "paths", "rounds", "executed", "share")
"""Fields of `GuestLoop` that stand in the file as they are."""


@dataclass(frozen=True)
class LearnedLoop:
    """A loop of a library.

    Attributes:
        name: of its files.
        found: where it was found; `lifted` is never None.
        facts: what later steps found out of it, by their own names: ``class``, ``contract``, ``verdict``, ``speed``. JSON values.
    """

    name: str
    found: GuestLoop
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lifted(self) -> LiftedLoop:
        """The loop in the IR."""
        assert self.found.lifted is not None
        return self.found.lifted


def write_library(folder: Path, loops: Iterable[GuestLoop]) -> Iterator[LearnedLoop]:
    """Write those of the loops that are lifted into `folder`, which is made, and give them with the names they got.

    A loop of the same code and name that is there already is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for found in loops:
        if found.lifted is not None:
            loop = LearnedLoop(_free_name(folder, found), found)
            write_loop(folder, loop)
            yield loop


def write_loop(folder: Path, loop: LearnedLoop) -> None:
    """Write both files of a loop; those that are there are replaced."""
    write_atomic(folder / f"{loop.name}.ir", write(loop.lifted.module).encode(), _MODE)
    write_atomic(folder / f"{loop.name}.json", (json.dumps(_to_json(loop), indent=1) + "\n").encode(), _MODE)


def read_library(folder: Path) -> list[LearnedLoop]:
    """The loops of a library, the one with the greatest share first.

    Raises `UsageError` for a folder that is none, or a file in it that is broken.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no library of loops: `glassbox learn` makes one")
    names = sorted(path.stem for path in folder.glob("*.json"))
    if len(names) > MOST_LOOPS:
        raise UsageError(f"{folder} has {len(names)} loops; at most {MOST_LOOPS} are read")
    return sorted((read_loop(folder, name) for name in names), key=lambda loop: -loop.found.share)


def read_loop(folder: Path, name: str) -> LearnedLoop:
    """One loop of a library by its name. Raises `UsageError` where it is not there or broken."""
    path = folder / f"{name}.json"
    if not _NAME.fullmatch(name):
        raise UsageError(f"{path}: a loop has no such name")
    try:
        return _from_json(name, json.loads(_text(path)), _text(path.with_suffix(".ir")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, SourceError | UsageError):
            raise
        raise UsageError(f"{path} is no loop that this version reads: {type(error).__name__} {error}") from None


def _text(path: Path) -> str:
    try:
        return read_plain(path, _MOST_BYTES).decode()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _free_name(folder: Path, found: GuestLoop) -> str:
    """The loop's symbol, or its process and address; with a number where another loop has that."""
    place = found.symbol or f"{found.process or ('kernel' if found.head >> 63 else 'user')}_{found.head:x}"
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", place)[:70].strip("._") or f"{found.head:x}"
    names = (f"{name}{f'-{number}' if number > 1 else ''}" for number in range(1, MOST_LOOPS + 2))
    return next(each for each in names if not (folder / f"{each}.json").exists() or _is_same(folder, each, found))


def _is_same(folder: Path, name: str, found: GuestLoop) -> bool:
    """Whether the loop there has the same code, wherever it was mapped."""
    assert found.lifted is not None
    try:
        other = read_loop(folder, name).lifted.machine_loop
    except UsageError:
        return False
    own = found.lifted.machine_loop
    return _code(own) == _code(other)


def _code(loop: MachineLoop) -> dict[int, bytes]:
    return {at - loop.head: code for at, code in loop.instructions.items()}


def _to_json(loop: LearnedLoop) -> dict[str, Any]:
    found, lifted = loop.found, loop.lifted
    code = lifted.machine_loop
    return {
        "version": VERSION,
        "head": hex(code.head),
        **{name: getattr(found, name) for name in _FOUND},
        "root": hex(found.root),
        "instructions": {hex(at): each.hex() for at, each in sorted(code.instructions.items())},
        "indirect": {hex(at): [hex(each) for each in targets] for at, targets in sorted(code.indirect.items())},
        "lines": [hex(at) for at in lifted.lines],
        "live_in": list(lifted.live_in),
        "live_out": list(lifted.live_out),
        "exits": [{"address": hex(each.address), "refused": each.refused} for each in lifted.exits],
        "assumed": dict(lifted.assumed),
        "left_out": list(found.left_out),
        "facts": dict(loop.facts),
    }


def _from_json(name: str, row: dict[str, Any], text: str) -> LearnedLoop:
    if row["version"] != VERSION:
        raise ValueError(f"version {row['version']}, not {VERSION}")
    instructions = {int(at, 16): bytes.fromhex(each) for at, each in row["instructions"].items()}
    if any(not 1 <= len(each) <= 15 for each in instructions.values()):
        raise ValueError("an instruction has 1 to 15 bytes")
    indirect = {int(at, 16): tuple(int(each, 16) for each in targets) for at, targets in row["indirect"].items()}
    live_in, live_out = (tuple(map(str, row[key])) for key in ("live_in", "live_out"))
    exits = tuple(LoopExit(int(each["address"], 16), str(each["refused"])) for each in row["exits"])
    lifted = LiftedLoop(
        machine_loop=MachineLoop(int(row["head"], 16), instructions, indirect),
        module=verify(read(text)),
        lines=tuple(int(at, 16) for at in row["lines"]),
        live_in=live_in,
        live_out=live_out,
        exits=exits,
        refused=(),
        assumed={str(key): int(value) for key, value in row["assumed"].items()},
    )
    function = lifted.module.functions["loop"]
    kinds = (Type.U64,) * 3 + tuple(CELLS[each].type for each in live_in)
    if tuple(value.type for value in function.parameters) != kinds:
        raise ValueError("the function takes other registers than `live_in`")
    if function.results != (Type.U64,) * 2 + tuple(CELLS[each].type for each in live_out):
        raise ValueError("the function gives other registers than `live_out`")
    if not isinstance(row["facts"], dict):
        raise ValueError("facts are no object")
    blank = GuestLoop(lifted.machine_loop.head, "", 0, "", 0, 0, 0, 0, 0.0, len(instructions), live_in, live_out)
    found = replace(
        blank,
        root=int(row["root"], 16),
        exits=tuple(each.address for each in exits),
        left_out=tuple(map(str, row["left_out"])),
        lifted=lifted,
        **{key: type(getattr(blank, key))(row[key]) for key in _FOUND},
    )
    return LearnedLoop(name, found, row["facts"])
