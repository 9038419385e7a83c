"""Compile C for this machine, once: shared libraries in the user's cache, by a digest of all that they come from.

``$XDG_CACHE_HOME/glassbox/kernels`` holds ``<digest>.so``; the digest is of the C text, the command, the compiler's file and the
processor's features. A library is loaded only where nobody but the user and root can have written it. The folder keeps the
`MAX_FILES` that were used last.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from qemu_bridge.host.folders import cache_folder, keep_newest
from tcg_plugin.build import is_trusted

from ...errors import DeviceError

MAX_FILES = 512
"""Libraries that the cache keeps."""
COMPILE_TIMEOUT_S = 120
TEXT_BYTES_A_SECOND = 10_000
"""Bytes of C that a busy host compiles in a second, at least: long texts have so much more time."""
_LOOK_S = 0.1
"""How often a compiler that may be cancelled is looked after."""
LONG_SOURCE = 100_000
"""Bytes of C, beside the prelude, from which on it is compiled in a hurry."""

FLAGS = (
    "-std=gnu11",
    "-march=native",
    "-shared",
    "-fPIC",
    "-pthread",
    "-w",
    "-ffp-contract=off",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-fsignaling-nans",  # a NaN times 1 is a quiet one
    "-fno-trapping-math",
)
"""What keeps the meaning of the table, and vectors of the processor's width."""


CLANG_FLAGS = ("-fbracket-depth=4096",)


@dataclass(frozen=True)
class Machine:
    """Lanes of 32 bits in a vector, vector registers, and the name of the instruction set."""

    width: int
    vector_registers: int
    name: str


@cache
def processor_name() -> str:
    """What the processor calls itself; the architecture where it does not say."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


@cache
def processor_features() -> frozenset[str]:
    """What the processor can do, in the kernel's words; empty where it does not say."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return frozenset(line.partition(":")[2].split())
    return frozenset()


@cache
def machine() -> Machine:
    """The widest vectors of this processor."""
    features = processor_features()
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= features:
        return Machine(16, 32, "avx512")
    if {"avx2", "fma"} <= features:
        return Machine(8, 16, "avx2")
    if platform.machine() == "x86_64":
        return Machine(4, 16, "sse2")
    return Machine(4, 32, platform.machine())


def find_compiler() -> list[str]:
    """The command of the C compiler: ``$CC``, ``cc``, ``gcc``, ``clang``, or that of the package ziglang.

    Raises `DeviceError` where there is none.
    """
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return [path]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise DeviceError(
        "the software GPU compiles kernels and there is no C compiler; install gcc and libc6-dev, or `pip install ziglang`; "
        "the device numba needs none"
    )


def _identity(command: list[str]) -> str:
    """What tells one compiler from another, without running it."""
    path = Path(command[0])
    if len(command) > 1:
        found = importlib.util.find_spec("ziglang")
        path = Path(found.origin) if found and found.origin else path
    status = path.resolve().stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


HASTY = (
    "-O1",
    "-fno-tree-dominator-opts",
    "-fno-tree-reassoc",
    "-fno-tree-sink",
    "-fno-tree-slsr",
    "-fno-tree-pta",
    "-fno-tree-dse",
    "-fno-ssa-phiopt",
    "-fno-if-conversion",
    "-fno-if-conversion2",
    "-fno-forward-propagate",
    "-fno-ivopts",
    "-fno-dse",
    "-fno-split-wide-types",
    "-fno-compare-elim",
    "-fno-ipa-pure-const",
    "-fno-ipa-reference",
)
"""For many small functions of plain code: a quarter less time than ``-O1``."""


def build(
    text: str, level: str | None = None, others: Sequence[str] = (), cancelled: threading.Event | None = None
) -> Path:
    """The path of the shared library that a C text makes, compiled if it is not in the cache; `level` of optimisation, or by its length.

    `others` are texts of the same library, compiled at the same time and in a hurry. The compiler ends soon after `cancelled` is set.

    Raises `DeviceError` where there is no compiler, the text does not compile, it was cancelled, or other users can write to the cache.
    """
    command = find_compiler()
    is_clang = len(command) > 1 or "clang" in Path(command[0]).name
    own = [level] if level else ["-O3"] if len(text) < LONG_SOURCE and not others else ["-O1"]
    if others and not level and not is_clang:
        own = list(HASTY)
    flags = [*FLAGS, *(CLANG_FLAGS if is_clang else ()), *own]
    parts = (
        text,
        *others,
        repr((command, flags)),
        _identity(command),
        " ".join(sorted(processor_features())),
        platform.machine(),
    )
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
    path = cache_folder("kernels") / f"{digest}.so"
    if not path.exists():
        _compile([*command, *flags], (text, *others), path, cancelled)
    check_trusted(path)
    with contextlib.suppress(OSError):
        os.utime(path)  # the ones that were used last are kept
    return path


def load(text: str, level: str | None = None) -> ctypes.CDLL:
    """The loaded library of a C text; see `build`."""
    return open_library(build(text, level))


def check_trusted(path: Path) -> None:
    """Raise `DeviceError` where others can change a library."""
    if path.exists() and not is_trusted(path):
        raise DeviceError(
            f"other users can change {path}, so it is not loaded; set XDG_CACHE_HOME to a folder of yours"
        )


def open_library(path: Path, *, is_own: bool = False) -> ctypes.CDLL:
    """A library that `build` made, in this process or another one, loaded; `DeviceError` where others can change it, or it is gone.

    A process loads a library once, with one set of variables, unless `is_own`: then it is loaded from a copy of the file.
    """
    check_trusted(path)
    try:
        if is_own:
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".own") as copy:
                copy.write(path.read_bytes())
                copy.flush()
                return ctypes.CDLL(copy.name)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"{path} cannot be loaded ({error}); remove it and try again") from None


def _compile(command: list[str], texts: Sequence[str], path: Path, cancelled: threading.Event | None) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_newest(path.parent, MAX_FILES, ".so")
        with tempfile.TemporaryDirectory(dir=path.parent) as draft:
            out = Path(draft, path.name)
            if len(texts) == 1:
                _run([*command, "-x", "c", "-o", str(out), "-", "-lm"], texts[0], cancelled)
            else:
                objects = [str(Path(draft, f"{number}.o")) for number in range(len(texts))]
                with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                    list(
                        pool.map(
                            lambda to, text: _run([*command, "-c", "-x", "c", "-o", to, "-"], text, cancelled),
                            objects,
                            texts,
                        )
                    )
                _run([*command, "-o", str(out), *objects, "-lm"], "", cancelled)
            out.chmod(0o700)
            out.replace(path)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines()
        reason = next((line for line in lines if "error" in line), lines[0] if lines else f"status {error.returncode}")
        raise DeviceError(f"{command[0]} does not compile the kernel ({reason}); install gcc 12 or later") from None
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"the kernel took more than {error.timeout:g} s to compile; make it smaller") from None
    except OSError as error:
        raise DeviceError(f"the kernel cannot be compiled ({error}); set XDG_CACHE_HOME to a folder of yours") from None


def _run(command: list[str], text: str, cancelled: threading.Event | None) -> None:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        limit_s = COMPILE_TIMEOUT_S + len(text) // TEXT_BYTES_A_SECOND
        # The driver's own children inherit the limit: they end by it where the driver is killed and they are not.
        with contextlib.suppress(OSError):
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit_s, limit_s))
        try:
            errors = _errors_of(process, text.encode(), limit_s, cancelled)
        except BaseException:
            process.terminate()  # the driver ends its children, and removes what they have written
            raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)


def _errors_of(
    process: subprocess.Popen[bytes], text: bytes, limit_s: float, cancelled: threading.Event | None
) -> bytes:
    """Wait for a compiler; what it said."""
    if cancelled is None:
        return process.communicate(text, limit_s)[1]
    until = time.monotonic() + limit_s
    given: bytes | None = text
    while True:
        try:
            return process.communicate(given, _LOOK_S)[1]
        except subprocess.TimeoutExpired:
            given = None  # `communicate` goes on where it was
            if cancelled.is_set():
                raise DeviceError(
                    "the compiler was ended, as nobody waits for it any more; run the program again"
                ) from None
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(process.args, limit_s) from None
