"""WASI programs on lanes against wasmtime, which runs the same instances one after another in a process for each core.

Both translate beforehand, what lanes come to in code of its own; wasmtime's instances are made anew for each lane, as somebody would run them.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import runpy
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from unittest import mock

import pixel_cpu as px

from .figures import Figure, paired_medians, seconds

ROOT = Path(__file__).parents[1]
PAGES = 20
LANES = 512
WORDS = "the quick brown fox jumps over the lazy dog and runs from the other dog".split()


@dataclass(frozen=True)
class Case:
    """A program, what each lane is told, and the gain that is wanted."""

    name: str
    module: bytes
    arguments: Sequence[Sequence[str]]
    target: str


def measure(rounds: int) -> list[Figure]:
    """Gains over wasmtime, and what translation costs."""
    found = (_against(case, rounds if len(case.arguments) <= LANES else min(rounds, 3)) for case in cases())
    return [*itertools.chain.from_iterable(found), *_translation(archive()["count"])]


def archive() -> dict[str, bytes]:
    """The programs of the examples, by name."""
    modules: dict[str, bytes] = runpy.run_path(str(ROOT / "examples/gpu-run/programs/build.py"))["read_archive"]()
    return modules


def cases() -> Iterator[Case]:
    """A loop that is the same in all lanes, one whose lanes part, and the words of 10,240 texts."""
    many = (ROOT / "tests/pixel_cpu/gpu_run/programs/many.wasm").read_bytes()
    yield Case("uniform loop", many, [["many", "mix", "100000", str(n)] for n in range(LANES)], ">= 2")
    steps = [5_000 * (1 + n * 7919 % 37) for n in range(LANES)]
    yield Case("loop of 37 lengths", many, [["many", "mix", str(count), "1"] for count in steps], ">= 1")
    texts = (" ".join(WORDS[n * place % 15] for place in range(1, 13)) for n in range(10_240))
    yield Case("words of 10,240 texts", archive()["count"], [["count", text] for text in texts], ">= 3")


def _against(case: Case, rounds: int) -> Iterator[Figure]:
    program = px.wasm(case.module, pages=PAGES)
    cores = sorted(os.sched_getaffinity(0))
    chunks = [case.arguments[place :: len(cores)] for place in range(len(cores))]
    with (
        px.Device("cpu") as device,
        multiprocessing.get_context("spawn").Pool(len(cores), _compile, (case.module,)) as pool,
    ):
        ours = partial(_on_lanes, program, case.arguments, device)
        theirs = partial(_in_wasmtime, pool, chunks)
        first = seconds(ours)
        _complete(program, ours)
        mine, other, ratio = paired_medians(lambda: seconds(ours), lambda: seconds(theirs), rounds)
    program.close()  # a compiler that still runs would disturb what is measured next
    lanes = len(case.arguments)
    detail = f"{lanes} lanes in {mine:.2f} s, wasmtime on {len(cores)} cores {other:.2f} s"
    yield Figure(f"{case.name} / wasmtime", 1 / ratio, "x", case.target, detail)
    yield Figure(f"{case.name}, first run", first / mine, "x", "", f"{first:.2f} s: interpreted until there is code")


def _complete(program: px.runtime.wasm.WasmProgram, run: Callable[[], None]) -> None:
    """Run a program until every function that lanes come to has its code, as wasmtime has it."""
    translation = program.translation(program.function("_start"))
    before: set[int] | None = None
    for _ in range(20):
        while translation.is_under_way:
            time.sleep(0.05)
        ready = set(translation.code.ready) if translation.code else set()
        if ready == before:
            return
        before = ready
        run()


def _on_lanes(program: px.runtime.wasm.WasmProgram, arguments: Sequence[Sequence[str]], device: px.Device) -> None:
    found = px.processes(program, arguments=arguments, device=device, seed=1)
    found.run()
    assert not found.table()["exit_code"].any()


def _in_wasmtime(pool: Pool, chunks: Sequence[Sequence[Sequence[str]]]) -> None:
    assert all(pool.map(_run_chunk, chunks, chunksize=1))


_compiled: list[tuple[object, object]] = []
"""The engine and module of a process that runs wasmtime."""


def _compile(module: bytes) -> None:
    import wasmtime

    engine = wasmtime.Engine()
    _compiled.append((engine, wasmtime.Module(engine, module)))


def _run_chunk(arguments: Sequence[Sequence[str]]) -> bool:
    import wasmtime

    engine, module = _compiled[0]
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    for words in arguments:
        store, config = wasmtime.Store(engine), wasmtime.WasiConfig()
        config.argv = list(words)
        config.stdout_file = os.devnull
        store.set_wasi(config)
        linker.instantiate(store, module).exports(store)["_start"](store)
    return True


def _translation(module: bytes) -> Iterator[Figure]:
    """From a file to the end of the first lane, in a device that is warm: with nothing of the module in the cache, and with all of it.

    What every program needs of the software GPU is compiled before, once for a machine.
    """
    with px.Device("cpu") as device, tempfile.TemporaryDirectory() as folder:
        with mock.patch.dict("os.environ", XDG_CACHE_HOME=folder):
            made = seconds(partial(_one_lane, _ONE, device, b""))
            lane = partial(_one_lane, module, device, b"1 a\n")
            first = seconds(lane)
            again = sorted(seconds(lane) for _ in range(3))[1]
    size = f"{len(module) >> 10} KiB"
    yield Figure("first program of a machine", made, "s", "", "the software GPU's own code is compiled")
    yield Figure("translation to first lane", first, "s", "<= 1", size)
    yield Figure("the same from the cache", again, "s", "<= 0.1", size)


_ONE = bytes.fromhex("0061736d01000000010401600000030201000503010001070a01065f737461727400000a040102000b")
"""A program that does nothing: ``(module (memory 1) (func (export "_start")))``."""


def _one_lane(module: bytes, device: px.Device, printed: bytes) -> None:
    found = px.processes(module, arguments=["count", "a"], device=device, pages=PAGES)
    found.run()
    assert found.output(0)[0] == printed
