"""Machine code of functions that run in rounds, made of what lanes come to, beside the launches that interpret it.

Code of some functions is enough to begin with: a lane that comes to another one ends its launch by `NOT_COMPILED` and is interpreted there.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from ..errors import GlassBoxError
from ..frontends.wasm.module import Module as WasmModule
from ..frontends.wasm.resumable import KERNEL, Resumable, likely, resumable
from ..frontends.wasm.state import State
from ..ir.model import Module, Region
from .backends import is_there, prepare
from .wasm_cache import fetch, keep

LEAST_SECONDS, SECONDS_PER_PART = 0.1, 0.002
"""Time that lanes have been interpreted, and that for each part that is to be compiled, after which that begins: a third of what compilers take."""
_END_SECONDS = 5.0
"""What the end of the program waits for a compiler that was told to end."""


def is_usable(found: Resumable) -> bool:
    """Whether a kept program can still be loaded."""
    return is_there("cpu", found.program.compiled[KERNEL])


class Source(Protocol):
    """What is translated: a module, and what it is called in the cache, if it is kept."""

    module: WasmModule
    state: State
    key: str

    def restore(self) -> None:
        """Bring the code of functions back."""
        ...


class Translation:
    """The code of one function of a program; `code` is what there is of it, which later code replaces."""

    def __init__(self, program: Source, function: int) -> None:
        self._program, self._function = weakref.proxy(program), function
        self.key = f"{program.key}-{function}-code" if program.key else ""
        found = fetch(self.key) if self.key else None
        self.code: Resumable | None = found if isinstance(found, Resumable) and is_usable(found) else None
        self.interpreted_seconds = 0.0
        """What lanes have been interpreted for."""
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._has_failed = False
        self._lock = threading.Lock()

    @property
    def is_under_way(self) -> bool:
        """Whether code is being made now."""
        return self._thread is not None and self._thread.is_alive()

    def is_worth_it(self, interpreted: Resumable, wanted: Collection[int]) -> bool:
        """Whether to begin: lanes were interpreted for as long as code of functions is worth; `interpreted` has their sizes."""
        if self.interpreted_seconds < LEAST_SECONDS or self._has_failed or self.is_under_way:
            return False
        parts = sum(interpreted.sizes[each] for each in likely(self._program.module, interpreted.sizes.keys(), wanted))
        return self.interpreted_seconds > LEAST_SECONDS + SECONDS_PER_PART * parts

    def begin(self, wanted: Collection[int]) -> None:
        """Make code of functions in a thread, unless that is under way or has failed."""
        if self._has_failed or self.is_under_way or self._cancelled.is_set():
            return
        _UNDER_WAY.add(self)
        self._thread = threading.Thread(target=self._try, args=(set(wanted),), name="translation", daemon=True)
        self._thread.start()

    def _try(self, wanted: Collection[int]) -> None:
        try:
            self.make(wanted)
        except (GlassBoxError, ReferenceError, OSError):
            self._has_failed = True  # what can be interpreted needs no code
        except RuntimeError:
            if threading.main_thread().is_alive():
                raise
            # Python starts no threads any more, as the program ends.

    def make(self, wanted: Collection[int]) -> None:
        """Make code of functions and of what they are likely to call, beside what there is, and keep it.

        Raises `WasmError` for what is not supported, `DeviceError` where it does not compile.
        """
        with self._lock:
            program, before = self._program, self.code
            if before and KERNEL not in before.program.compiled:
                return  # it is whole already
            program.restore()
            module, state = program.module, program.state
            ready = before.ready if before else set()
            whole = resumable(module, state, self._function, is_apart=True, only=())
            more = likely(module, whole.sizes.keys() - ready, set(wanted) & whole.sizes.keys())
            if before and not more:
                return
            whole = resumable(module, state, self._function, is_apart=True, only=more)
            compiled = before.program.compiled[KERNEL] if before else None
            parts = whole.parts_of(more)
            made = prepare("cpu", whole.program, KERNEL, only=parts, before=compiled, cancelled=self._cancelled)
            kernel = replace(whole.program.kernels[KERNEL], body=Region())
            if made is None:  # too small for functions of its own: it is sent as text, whole
                whole = resumable(module, state, self._function, is_apart=True)
                self.code = replace(whole, ready=set(whole.sizes))
                return
            found = replace(whole, program=Module({KERNEL: kernel}, compiled={KERNEL: made}), ready=ready | more)
            if self.key:
                keep(self.key, found)
                keep(program.key, state.without_code())
            self.code = found

    def close(self) -> None:
        """End compilers that run, and wait for that."""
        self._cancelled.set()
        if self._thread:
            self._thread.join(_END_SECONDS)


_UNDER_WAY: weakref.WeakSet[Translation] = weakref.WeakSet()


@atexit.register
def _close() -> None:
    for each in list(_UNDER_WAY):
        each.close()
