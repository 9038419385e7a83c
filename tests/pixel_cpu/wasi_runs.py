"""WASI for tests: calls and programs, served by wasmtime and by `Wasi`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import wasmtime

from pixel_cpu.runtime.rounds import Request
from pixel_cpu.wasi import Preopen, Wasi
from pixel_cpu.wasi.abi import PREFIX
from pixel_cpu.wasi.table import CALLS

MODULE = PREFIX.rstrip(".")
MEMORY_BYTES = 1 << 16
_TYPES = {"i": "i32", "I": "i64"}
ENGINE = wasmtime.Engine()


def text_of_calls() -> str:
    """A module that exports every call of WASI as it imports it, and a memory."""
    lines = []
    for name, (kinds, _) in CALLS.items():
        parameters = "".join(f" (param {_TYPES[kind]})" for kind in kinds)
        result = "" if name == "proc_exit" else " (result i32)"
        lines.append(f'(import "{MODULE}" "{name}" (func ${name}{parameters}{result}))')
    for name, (kinds, _) in CALLS.items():
        parameters = "".join(f" (param {_TYPES[kind]})" for kind in kinds)
        result = "" if name == "proc_exit" else " (result i32)"
        operands = " ".join(f"(local.get {place})" for place in range(len(kinds)))
        lines.append(f'(func (export "{name}"){parameters}{result} (call ${name} {operands}))')
    return "(module " + "\n".join(lines) + '(memory (export "memory") 1 1))'


CALLS_MODULE = wasmtime.Module(ENGINE, wasmtime.wat2wasm(text_of_calls()))


class Theirs:
    """wasmtime's own WASI, called directly. `memory` is the instance's."""

    def __init__(self, folder: Path, directories: Sequence[Preopen], **options: object) -> None:
        self.store = wasmtime.Store(ENGINE)
        self.out, self.err = folder / "stdout", folder / "stderr"
        self.store.set_wasi(_config(folder, directories, **options))
        linker = wasmtime.Linker(ENGINE)
        linker.define_wasi()
        self.exports = linker.instantiate(self.store, CALLS_MODULE).exports(self.store)
        self.memory = _view(self.store, self.exports["memory"])

    def call(self, name: str, *operands: int) -> int:
        """The error that a call gives."""
        return self.exports[name](self.store, *operands)


class Ours:
    """`Wasi` with one lane, called directly."""

    def __init__(self, wasi: Wasi, lanes: int = 1) -> None:
        self.wasi, self.rows = wasi, np.zeros((lanes, MEMORY_BYTES), np.uint8)
        self.memory = self.rows[0]

    def call_all(self, name: str, *operands: int | np.ndarray, lanes: np.ndarray | None = None) -> np.ndarray:
        """The errors that a call gives to all lanes; an operand is the same for all, or an array."""
        chosen = np.arange(len(self.rows)) if lanes is None else lanes
        arrays = tuple(
            np.broadcast_to(np.asarray(each, np.int64), len(chosen)).astype("i4" if kind == "i" else "i8")
            for each, kind in zip(operands, CALLS[name][0], strict=True)
        )
        sizes = np.full(len(chosen), MEMORY_BYTES)
        reply = self.wasi.serve(Request(PREFIX + name, chosen, arrays, self.rows, sizes))
        self.reply = reply
        return reply.results[0] if reply.results else np.zeros(len(chosen), np.int32)

    def call(self, name: str, *operands: int) -> int:
        """The error that a call gives to the first lane."""
        return int(self.call_all(name, *operands, lanes=np.zeros(1, np.int64))[0])


def put(host: Theirs | Ours, at: int, data: bytes) -> int:
    """Write bytes to the guest's memory; gives their length."""
    host.memory[at : at + len(data)] = np.frombuffer(data, np.uint8)
    return len(data)


def number(host: Theirs | Ours, at: int, size: int = 4) -> int:
    """A number in the guest's memory."""
    return int.from_bytes(host.memory[at : at + size].tobytes(), "little")


def _view(store: wasmtime.Store, memory: wasmtime.Memory) -> np.ndarray:
    return np.frombuffer(memory.get_buffer_ptr(store), np.uint8)


def _config(
    folder: Path,
    directories: Sequence[Preopen],
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> wasmtime.WasiConfig:
    config = wasmtime.WasiConfig()
    config.argv, config.env = list(arguments), list((environment or {}).items())
    (folder / "stdin").write_bytes(stdin)
    config.stdin_file, config.stdout_file, config.stderr_file = (
        folder / name for name in ("stdin", "stdout", "stderr")
    )
    for each in directories:
        config.preopen_dir(str(each.host), each.guest, each.is_writable)
    return config


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a program did: exit code (-1 for a trap), and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


def run_theirs(module: wasmtime.Module, folder: Path, directories: Sequence[Preopen], **options: object) -> Outcome:
    """Run a program with wasmtime's own WASI."""
    store = wasmtime.Store(ENGINE)
    store.set_wasi(_config(folder, directories, **options))
    linker = wasmtime.Linker(ENGINE)
    linker.define_wasi()
    code = _start(linker.instantiate(store, module), store)
    del store
    return Outcome(code, (folder / "stdout").read_bytes(), (folder / "stderr").read_bytes())


class _Exit(Exception):  # noqa: N818  # no error: a program's end
    """A program called proc_exit."""


def run_ours(module: wasmtime.Module, wasi: Wasi, lane: int = 0) -> Outcome:
    """Run a program with wasmtime as the machine and `Wasi` as the host."""
    store, linker = wasmtime.Store(ENGINE), wasmtime.Linker(ENGINE)
    for each in module.imports:
        linker.define_func(
            each.module,
            each.name,
            each.type,
            _served(wasi, f"{each.module}.{each.name}", each.type, lane),
            access_caller=True,
        )
    try:
        code = _start(linker.instantiate(store, module), store)
    except _Exit:
        code = int(wasi.exit_codes[lane])
    return Outcome(code, wasi.stdout[lane], wasi.stderr[lane])


def _served(wasi: Wasi, name: str, kind: wasmtime.FuncType, lane: int):
    def call(caller: wasmtime.Caller, *operands: int) -> int | None:
        memory = _view(caller, caller["memory"])
        rows = np.lib.stride_tricks.as_strided(
            memory, (wasi.lanes, len(memory)), (0, 1)
        )  # the row of `lane` is the memory
        arrays = tuple(
            np.array([each], "i4" if str(parameter) == "i32" else "i8")
            for each, parameter in zip(operands, kind.params, strict=True)
        )
        reply = wasi.serve(Request(name, np.array([lane]), arrays, rows, np.array([len(memory)])))
        if reply.ended is not None:
            raise _Exit
        return int(reply.results[0][0])

    return call


def _start(instance: wasmtime.Instance, store: wasmtime.Store) -> int:
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as exit_:
        return exit_.code
    except wasmtime.Trap:
        return -1
    return 0


def tree(folder: Path) -> dict[str, object]:
    """Every file below a folder: links by what they say, files by their bytes."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = os.readlink(path) if path.is_symlink() else "directory" if path.is_dir() else path.read_bytes()
    return found


@contextmanager
def wasi(lanes: int = 1, *arguments: object, **options: object) -> Iterator[Wasi]:
    """A `Wasi` that leaves no descriptor open."""
    with Wasi(lanes, *arguments, **options) as made:  # type: ignore[arg-type]
        yield made
    tops = [str(each.host).split("{")[0] for each in made.roots.preopens]
    assert not [path for path in open_paths() if path.startswith(tuple(tops))]


def open_paths() -> list[str]:
    """The paths of what this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


def put_all(ours: Ours, at: int, *texts: bytes) -> np.ndarray:
    """Write a text to each lane, or one to all; their lengths."""
    for lane, row in enumerate(ours.rows):
        data = texts[lane % len(texts)]
        row[at : at + len(data)] = np.frombuffer(data, np.uint8)
    return np.array([len(texts[lane % len(texts)]) for lane in range(len(ours.rows))])


def numbers(ours: Ours, at: int, kind: str = "<u4") -> list[int]:
    """A number in the memory of each lane."""
    size = np.dtype(kind).itemsize
    return ours.rows[:, at : at + size].copy().view(kind)[:, 0].tolist()


def vector(at: int, length: int) -> bytes:
    """An address and a length, as reads and writes want them."""
    return np.array([at, length], "<u4").tobytes()


def opened(
    ours: Ours, path: bytes, *, rights: int = 2, how: int = 0, directory: int = 3, flags: int = 0, follow: int = 1
) -> list[int]:
    """The descriptors that all lanes get for a path; negative errors where they get none."""
    length = put_all(ours, 60000, path)
    errors = ours.call_all("path_open", directory, follow, 60000, length, how, rights, rights, flags, 61000)
    return [-int(error) if error else got for error, got in zip(errors, numbers(ours, 61000), strict=True)]
