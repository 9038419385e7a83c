"""For tests of lanes as processes: lanes with statuses as a test wants them, a program, and the same program in wasmtime."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import wasmtime
from wasm_texts import engine

from pixel_cpu.supervisor import NO_CODE, TABLE


def lanes_that(*statuses: str, codes: list[int] | None = None, wave: int = 1 << 20) -> SimpleNamespace:
    """A run in its third round, whose lanes are in these statuses."""
    table = np.zeros(len(statuses), TABLE)
    table["lane"] = np.arange(len(statuses))
    table["pid"] = table["lane"] + 1
    table["status"] = statuses
    table["exit_code"] = codes if codes is not None else [0 if each == "exited" else NO_CODE for each in statuses]
    queued = statuses.count("queued")
    return SimpleNamespace(
        lanes=len(statuses),
        table=lambda: table,
        has_ended=np.isin(table["status"], ["exited", "trapped", "killed"]),
        rounds=3,
        waves=1,
        waves_left=-(-queued // wave),
        wave_lanes=wave,
    )


MANY = Path(__file__).parent / "gpu_run/programs/many.wasm"
"""A program that does what its first argument says."""


@dataclass(frozen=True)
class Ran:
    """How a program ended in wasmtime: its exit code, None after a trap."""

    code: int | None
    stdout: bytes
    stderr: bytes


@cache
def _module(path: Path) -> wasmtime.Module:
    return wasmtime.Module(engine(), path.read_bytes())


def in_wasmtime(
    words: Sequence[str],
    *,
    program: Path = MANY,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    folders: Mapping[str, Path] | None = None,
    writable: Collection[str] = (),
) -> Ran:
    """A program in wasmtime's own WASI. `folders` are by the name that the program knows, `writable` those that it may write."""
    linker, store, config = wasmtime.Linker(engine()), wasmtime.Store(engine()), wasmtime.WasiConfig()
    linker.define_wasi()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "in").write_bytes(stdin)
        config.argv = [program.name, *words]
        config.env = list((environment or {}).items())
        config.stdin_file = str(place / "in")
        config.stdout_file, config.stderr_file = str(place / "out"), str(place / "err")
        for guest, host in (folders or {}).items():
            config.preopen_dir(str(host), guest, fs_mutable=guest in writable)
        store.set_wasi(config)
        code: int | None = 0
        try:
            linker.instantiate(store, _module(program)).exports(store)["_start"](store)
        except wasmtime.ExitTrap as ended:
            code = ended.code
        except (wasmtime.Trap, wasmtime.WasmtimeError):
            code = None
        del linker, store, config
        return Ran(code, (place / "out").read_bytes(), (place / "err").read_bytes())
