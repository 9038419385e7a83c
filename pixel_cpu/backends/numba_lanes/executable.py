"""A kernel that Numba compiled, and its launches.

``$XDG_CACHE_HOME/glassbox/kernels/numba`` holds a folder for each kernel: its Python text, and what Numba made of it for this
processor. The folders that were used last are kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

from qemu_bridge.host.folders import cache_folder, keep_newest
from tcg_plugin.build import is_trusted

from ...errors import DeviceError
from ...ir.bits import from_bits
from ...ir.model import Kernel, Module, Space, walk
from ...ir.types import Type
from ...passes.inline import inline
from ...passes.prune import prune
from ..launch import OUT_OF_FUEL, Launch, Outcome, Part, PrintedLine, Trap, call_host, next_lane, outside
from . import scalars
from .source import FIXED, Scratch, number_sites, source

MAX_KERNELS = 256
"""Kernels that the cache keeps."""
LANES_A_THREAD = 8192
"""Fewer are not worth another thread."""
MAX_FUEL = 1 << 61

_HOST = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_uint64))


def compile_kernel(module: Module, kernel: str) -> NumbaKernel:
    """Make a kernel of a verified module ready. Raises `DeviceError` where it is too large or nested too deep."""
    return NumbaKernel(prune(inline(module, module.kernels[kernel])))


def describe() -> str:
    """What stands behind this back end on this host."""
    return f"Numba {numba.__version__}: one lane after another, {_processors()} threads"


def _processors() -> int:
    return len(os.sched_getaffinity(0))


class NumbaKernel:
    """A kernel in machine code, one lane after another.

    ``compile_kernel(module, "saxpy").run(launch)`` changes the launch's arrays in place and gives an `Outcome`.
    """

    backend = "numba"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.source, self._scratch = source(kernel)
        self._sites = list(number_sites(kernel))
        # What is said comes in order of lane, and lanes add to a buffer one after another.
        self._is_said = any(op.name in ("print", "host_call") for op in walk(kernel.body))
        self._is_alone = self._is_said or any(
            op.name.startswith("atomic_") and op.memory is not None and op.memory.space is Space.BUFFER
            for op in walk(kernel.body)
        )
        self._function = _load(self.source, _signature(kernel, self._scratch))

    def run(self, launch: Launch) -> Outcome:
        """Run all lanes of a launch to their ends; raises nothing that the program does: see `Outcome.trap`."""
        started = time.perf_counter()
        arrays = [launch.buffers[memory.name] for memory in self.kernel.buffers]
        # Compiled code wants elements at multiples of their size.
        copies = [array if array.flags.aligned else array.copy() for array in arrays]
        with np.errstate(all="ignore"):
            given = [value.type.dtype.type(launch.scalars[value.name]) for value in self.kernel.parameters]
        said: list[tuple[int, int, str]] = []
        dropped = [0]
        failures: list[BaseException] = []
        callback = _HOST(self._host(launch, said, dropped, failures)) if self._is_said else None
        address = ctypes.cast(callback, ctypes.c_void_p).value if callback else 0
        fuel = min(launch.fuel, MAX_FUEL)
        count = 1 if self._is_alone else max(1, min(_processors(), launch.groups, launch.lanes // LANES_A_THREAD))
        traps = [np.zeros(4, np.int64) for _ in range(count)]

        own = (launch.part or Part()).units(launch.lanes, launch.group)
        parts = []
        for part, trap in enumerate(traps):
            first, last = (own[0] + (own[1] - own[0]) * place // count for place in (part, part + 1))
            fixed = (first, last, launch.lanes, launch.group, fuel, address, trap)
            scratch = (
                np.zeros(each.length * (launch.group if each.is_per_lane else 1), each.kind.dtype)
                for each in self._scratch
            )
            parts.append((*fixed, *given, *copies, *scratch))
        threads = [threading.Thread(target=self._function, args=part) for part in parts[1:]]
        for thread in threads:
            thread.start()
        self._function(*parts[0])
        for thread in threads:
            thread.join()
        for array, copy in zip(arrays, copies, strict=True):
            if copy is not array and array.flags.writeable:
                array[:] = copy
        if failures:
            raise failures[0]
        lines = tuple(PrintedLine(lane, text) for lane, _, text in sorted(said, key=lambda line: line[:2]))
        trapped = [trap.tolist() for trap in traps if trap[0]]
        lowest = min(trapped, key=lambda trap: trap[1], default=None)
        total = sum(trap[0] for trap in trapped)
        took = time.perf_counter() - started
        next_one = next_lane(launch, own[1], launch.group)
        return Outcome(
            self.backend, self._trap(lowest, launch), total, None, lines, dropped[0], took, next_lane=next_one
        )

    def _trap(self, lowest: list[int] | None, launch: Launch) -> Trap | None:
        if lowest is None:
            return None
        _, lane, site, value = lowest
        op = self._sites[site]
        reason = op.text or "trap"
        if op.name == "continue":
            reason = OUT_OF_FUEL
        elif op.memory is not None:
            memory, kind = op.memory, op.operands[0].type
            size = len(launch.buffers[memory.name]) if memory.space is Space.BUFFER else memory.length or 0
            reason = outside(value % 2**64 if kind is Type.U64 else value, memory.name, size)
        return Trap(lane, reason, op.line)

    def _host(
        self, launch: Launch, said: list[tuple[int, int, str]], dropped: list[int], failures: list[BaseException]
    ) -> Callable[[int, int, Any], int]:
        def call(site: int, lane: int, slots: Any) -> int:  # noqa: ANN401  # a ctypes pointer
            op = self._sites[site]
            try:
                if op.name == "print":
                    if len(said) >= launch.printed_lines:
                        dropped[0] += 1
                    else:
                        operands = (from_bits(slots[place], value.type) for place, value in enumerate(op.operands))
                        words = [op.text, *map(repr, operands)]
                        said.append((lane, len(said), " ".join(word for word in words if word)))
                    return 0
                call_host(self.kernel, op, lane, slots, launch.host_functions)
            except BaseException as error:
                failures.append(error)
                return 1
            return 0

        return call


def _signature(kernel: Kernel, scratch: Sequence[Scratch]) -> Any:  # noqa: ANN401  # Numba is untyped
    word = numba.types.int64
    fixed = [word] * (len(FIXED) - 1) + [word[::1]]
    own = [scalars.TYPES[value.type] for value in kernel.parameters]
    buffers = [
        numba.types.Array(scalars.TYPES[memory.element], 1, "C", readonly=not memory.is_writable)
        for memory in kernel.buffers
    ]
    return numba.types.void(*fixed, *own, *buffers, *(scalars.TYPES[each.kind][::1] for each in scratch))


def _load(text: str, signature: Any) -> Callable[..., None]:  # noqa: ANN401
    """The compiled function ``groups`` of a text, from the cache if it is there."""
    level = str(int(numba.config.OPT))
    versions = (numba.__version__, llvmlite.__version__, sys.version)
    parts = (text, str(signature), Path(scalars.__file__).read_text(), level, *versions)
    folder = cache_folder("kernels") / "numba" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
    path = folder / "kernel.py"
    try:
        if not path.exists():
            _write(path, text)
        for found in (path, *folder.glob("*/*")):
            if not is_trusted(found):
                raise DeviceError(
                    f"other users can change {found}, so it is not loaded; set XDG_CACHE_HOME to a folder of yours"
                )
        os.utime(folder)  # the ones that were used last are kept
        names: dict[str, Any] = {"__name__": scalars.__name__}  # the module of a cached function is imported
        exec(compile(text, str(path), "exec"), names)  # our own text: nothing of the program's is in it but numbers
        function = names["groups"]
        # Machine code of several processes meets here: two kernels of one name would be taken for each other.
        function.__name__ = function.__qualname__ = f"groups_{folder.name}"
        compiled: Callable[..., None] = numba.njit(
            signature, nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=True
        )(function)
    except numba.core.errors.NumbaError as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"Numba does not compile the kernel ({reason}); use device='cpu' or 'reference'") from None
    except OSError as error:
        raise DeviceError(f"the kernel cannot be kept ({error}); set XDG_CACHE_HOME to a folder of yours") from None
    return compiled


def _write(path: Path, text: str) -> None:
    """Make the folder of a kernel, which Numba fills."""
    root = path.parent.parent
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_newest(root, MAX_KERNELS)
    with tempfile.TemporaryDirectory(dir=root) as draft:
        made = Path(draft, "made")
        made.mkdir(mode=0o700)
        (made / path.name).write_text(text)
        with contextlib.suppress(OSError):  # another process was faster
            made.rename(path.parent)
