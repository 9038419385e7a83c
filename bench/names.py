"""Names: ``ps`` by the running daemon against Volatility's command line, and symbols from RAM against a ready-made file."""

from __future__ import annotations

import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qemu_bridge.client import Client
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.kernel.symbols.vmcoreinfo import find_vmcoreinfo
from qemu_bridge.memory.ram import GuestRam

from .booted import booted
from .figures import Figure, paired_medians, seconds

_NAME = "bench-names"
_VOLATILITY_ROUNDS = 3
_LOAD_SYMBOL_FILE = """
import sys, time
from volatility3.framework import contexts
from volatility3.framework.symbols import linux
from volatility3.framework.symbols.linux.extensions import network
started = time.perf_counter()
table = linux.LinuxKernelIntermedSymbols(contexts.Context(), "bench.symbols", "symbols", isf_url=sys.argv[1])
table.get_type("task_struct"), table.get_symbol("init_task")
print(time.perf_counter() - started)
"""


def measure(rounds: int) -> list[Figure]:
    """The ratios, measured on one paused guest and a copy of its RAM."""
    with booted(_NAME) as client, tempfile.TemporaryDirectory(prefix="gb-") as folder:
        client.pause()
        with _caches(Path(folder)):
            copy = client.ram.copy_to(Path(folder, "guest.ram"))
            symbols = write_symbol_file(client.ram, Path(folder))
            return [*measure_ps(client, copy, symbols, rounds), *measure_symbols(client.ram, symbols, rounds)]


def measure_ps(client: Client, copy: Path, symbols: Path, rounds: int) -> list[Figure]:
    """Round trip of one ``ps`` request, against ``vol linux.pslist`` from start to last line."""
    command = [find_volatility(), "-q", "-f", str(copy), "-s", str(symbols), "linux.pslist"]
    expected = len(client.ps())

    def run_volatility() -> float:
        return seconds(lambda: _check(subprocess.run(command, capture_output=True, text=True, check=True), expected))

    def ask() -> float:
        return statistics.median(seconds(client.ps) for _ in range(max(rounds, 21)))

    ours, theirs, ratio = paired_medians(ask, run_volatility, min(rounds, _VOLATILITY_ROUNDS))
    detail = f"{theirs:.2f} s against {ours * 1e3:.1f} ms, {expected} processes"
    return [Figure("vol linux.pslist / ps by the daemon", 1 / ratio, "x", ">= 300", detail)]


def measure_symbols(ram: GuestRam, symbols: Path, rounds: int) -> list[Figure]:
    """Symbols and types from RAM, cold and from the cache, and Volatility loading a symbol file of the same kernel.

    All three know where the kernel is: finding it is not measured.
    """
    info = find_vmcoreinfo(ram)
    file = next(symbols.glob("linux/*.json"))

    def load() -> float:
        return seconds(lambda: KernelSymbols(ram, info).btf.sizeof("task_struct"))

    def load_cold() -> float:
        shutil.rmtree(os.environ["GLASSBOX_SYMBOL_CACHE"], ignore_errors=True)
        return load()

    def load_file() -> float:
        command = [sys.executable, "-c", _LOAD_SYMBOL_FILE, file.as_uri()]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    cold, theirs, ratio = paired_medians(load_cold, load_file, rounds)
    # A cold load leaves the cache behind for the warm one after it.
    warm, again, cached = paired_medians(load, load_cold, rounds)
    detail = f"{cold * 1e3:.0f} ms against {theirs * 1e3:.0f} ms"
    return [
        Figure("symbols from RAM, cold / Volatility's symbol file", ratio, "x", "<= 1.0", detail),
        Figure(
            "symbols from the cache / cold", cached, "x", "<= 0.1", f"{warm * 1e3:.1f} ms against {again * 1e3:.0f} ms"
        ),
    ]


def write_symbol_file(ram: GuestRam, folder: Path) -> Path:
    """The folder of Volatility's symbol files, with this kernel's in it, ready-made and unpacked."""
    target = folder / "isf" / "linux"
    target.mkdir(parents=True)
    with gzip.open(KernelSymbols.load(ram).isf_path) as packed:
        (target / "kernel.json").write_bytes(packed.read())
    return target.parent


def find_volatility() -> str:
    """Volatility's command line, installed beside this Python."""
    return str(Path(sys.executable).with_name("vol"))


def _check(done: subprocess.CompletedProcess[str], expected: int) -> None:
    found = sum(line.startswith("0x") for line in done.stdout.splitlines())
    if found != expected:
        raise RuntimeError(f"Volatility lists {found} processes, Glass Box {expected}")


@contextmanager
def _caches(folder: Path) -> Iterator[None]:
    """Keep the caches of both in `folder`."""
    names = ("GLASSBOX_SYMBOL_CACHE", "XDG_CACHE_HOME")
    kept = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(folder / name.lower()) for name in names})
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
