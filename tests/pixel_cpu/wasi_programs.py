"""The programs of examples/gpu-run/programs: what they are given, and what they do under wasmtime and on lanes."""

from __future__ import annotations

import codecs
import functools
import re
import runpy
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/gpu-run/programs"
build = runpy.run_path(str(FOLDER / "build.py"))
"""What the program that builds them has."""
_HEAD = re.compile(r"^//! (\w+): ?(.*)$", re.MULTILINE)
PAGES = 40
"""Pages that a lane's memory may grow to."""


@dataclass(frozen=True)
class Program:
    """A program by the head of its source. `cases` are lists of arguments: one run each, or one lane."""

    name: str
    language: str
    uses: str
    cases: tuple[tuple[str, ...], ...]
    environment: dict[str, str]
    stdin: bytes


@dataclass(frozen=True)
class Result:
    """What a run did. `end` is ``exit CODE`` or ``trap: REASON``; `files` are those that it left or changed."""

    end: str
    stdout: bytes
    stderr: bytes
    files: dict[str, bytes]


@functools.cache
def modules() -> dict[str, bytes]:
    """The modules by name."""
    return build["read_archive"]()


def read_program(source: Path) -> Program:
    """A program by its source's first lines."""
    rows: dict[str, list[str]] = {"uses": [], "args": [], "env": [], "stdin": []}
    for key, value in _HEAD.findall(source.read_text()):
        rows[key].append(value)
    cases = tuple(tuple(shlex.split(each)) for each in rows["args"]) or ((),)
    environment = dict(each.split("=", 1) for row in rows["env"] for each in row.split())
    stdin = codecs.escape_decode("".join(rows["stdin"]))[0]
    language = {".rs": "Rust", ".c": "C"}[source.suffix]
    return Program(source.stem, language, " ".join(rows["uses"]), cases, environment, stdin)  # type: ignore[arg-type]


PROGRAMS = {source.stem: read_program(source) for source in build["sources"]()}


def new_folder(at: Path) -> Path:
    """A folder with the files that programs are given."""
    shutil.copytree(FOLDER / "data", at)
    return at


def changes(folder: Path) -> dict[str, bytes]:
    """Files below `folder` that are not as they were given, and names of folders."""
    found = {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"a folder"
        for path in sorted(folder.rglob("*"))
    }
    return {name: data for name, data in found.items() if not is_given(name, data)}


def is_given(name: str, data: bytes) -> bool:
    """Whether a file is one that programs were given."""
    path = FOLDER / "data" / name
    return path.is_file() and path.read_bytes() == data


@functools.cache
def _engine() -> wasmtime.Engine:
    return wasmtime.Engine()


@functools.cache
def _compiled(name: str) -> wasmtime.Module:
    return wasmtime.Module(_engine(), modules()[name])


def run_on_wasmtime(program: Program, case: tuple[str, ...]) -> Result:
    """One run."""
    with tempfile.TemporaryDirectory() as place:
        folder = new_folder(Path(place) / "root")
        out, err, given = (Path(place) / each for each in ("out", "err", "in"))
        given.write_bytes(program.stdin)
        config = wasmtime.WasiConfig()
        config.argv = [program.name, *case]
        config.env = list(program.environment.items())
        config.stdin_file, config.stdout_file, config.stderr_file = map(str, (given, out, err))
        config.preopen_dir(str(folder), "/")
        store = wasmtime.Store(_engine())
        store.set_wasi(config)
        linker = wasmtime.Linker(_engine())
        linker.define_wasi()
        start: Any = linker.instantiate(store, _compiled(program.name)).exports(store)["_start"]
        try:
            start(store)
            end = "exit 0"
        except wasmtime.ExitTrap as error:
            end = f"exit {error.code}"
        except wasmtime.Trap as error:
            end = f"trap: {reason_of(error)}"
        del store, linker, start
        return Result(end, out.read_bytes(), err.read_bytes(), changes(folder))


def reason_of(trap: wasmtime.Trap) -> str:
    """The specification's word for a trap."""
    words = {
        wasmtime.TrapCode.UNREACHABLE: "unreachable",
        wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "out of bounds memory access",
        wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer divide by zero",
        wasmtime.TrapCode.INTEGER_OVERFLOW: "integer overflow",
        wasmtime.TrapCode.STACK_OVERFLOW: "call stack exhausted",
        wasmtime.TrapCode.BAD_SIGNATURE: "indirect call type mismatch",
    }
    return words[trap.trap_code] if trap.trap_code else str(trap)


def run_on_lanes(program: Program, copies: int = 1) -> list[Result]:
    """A lane for each case, `copies` times over, all at once; each lane has a folder of its own."""
    import pixel_cpu as px
    from pixel_cpu.runtime.rounds import LaneState, Rounds
    from pixel_cpu.wasi import Preopen, Wasi

    cases = program.cases * copies
    with tempfile.TemporaryDirectory() as place:
        folders = [new_folder(Path(place) / f"lane-{lane}") for lane in range(len(cases))]
        arguments = [[program.name, *case] for case in cases]
        preopens = [Preopen(f"{place}/lane-{{id}}", "/", True)]
        host = Wasi(len(cases), arguments, program.environment, stdin=program.stdin, directories=preopens)
        with host:
            instances = px.wasm(modules()[program.name], pages=PAGES).instances(len(cases))
            rounds = Rounds(instances, "_start", host=host)
            rounds.run()
            found = []
            for lane, folder in enumerate(folders):
                trap = rounds.trap(lane)
                state = LaneState(rounds.states[lane])
                assert trap or state in (LaneState.EXITED, LaneState.RETURNED), state
                end = f"trap: {trap.reason}" if trap else f"exit {host.exit_codes[lane]}"
                found.append((end, host.stdout[lane], host.stderr[lane], folder))
        return [Result(end, out, err, changes(folder)) for end, out, err, folder in found]


def compare(program: Program, lanes: list[Result], wanted: list[Result]) -> str:
    """``same``, or the first difference between lanes and wasmtime, in words."""
    for case, mine, other in zip(program.cases, lanes, wanted, strict=True):
        words = shlex.join(case) or "no arguments"
        if mine.end != other.end:
            return f"{words}: {mine.end}, not {other.end}"
        for what in ("stdout", "stderr", "files"):
            if getattr(mine, what) != getattr(other, what):
                return f"{words}: {what} differs"
    return "same"
