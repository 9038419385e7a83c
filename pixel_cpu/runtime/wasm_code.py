"""A module and what its functions are translated to, which later runs find in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ..errors import UsageError
from ..frontends.wasm import decode
from ..frontends.wasm.decode import MAX_FILE_BYTES
from ..frontends.wasm.kernels import call_kernel
from ..frontends.wasm.module import Kind
from ..frontends.wasm.module import Module as WasmModule
from ..frontends.wasm.resumable import Resumable, resumable
from ..frontends.wasm.state import DEFAULT_STACK, State
from ..ir.model import Module
from .device import Device
from .wasm_cache import fetch, keep, key_of
from .wasm_interpreter import interpreted
from .wasm_translation import Translation, is_usable


def _bytes_of(source: str | Path | bytes) -> tuple[bytes, str]:
    """A module's bytes, and what errors call it."""
    if isinstance(source, bytes):
        return source, ""
    file = Path(source)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{file} has more than {MAX_FILE_BYTES >> 20} MiB, which is not supported")
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    return data, str(file)


class WasmCode:
    """A module and what runs its functions. `module` says what it has."""

    key = ""
    """What the program is called in the cache; empty where it is not kept."""
    data = b""
    """The module's bytes, where its functions may have been left out because they are translated already."""

    def __init__(
        self,
        module: WasmModule,
        pages: int | None = None,
        stack: int = DEFAULT_STACK,
        *,
        globals_: Mapping[str, int | float] = {},  # never changed
        state: State | None = None,
    ) -> None:
        self.module, self.globals = module, globals_
        self.state = state or State(module, pages, stack, globals_)
        self._kernels: dict[tuple[int, frozenset[int]], Module] = {}
        self._resumable: dict[tuple[int, bool, bool], Resumable] = {}
        self._translations: dict[int, Translation] = {}

    @classmethod
    def read(
        cls,
        source: str | Path | bytes,
        pages: int | None = None,
        stack: int = DEFAULT_STACK,
        globals_: Mapping[str, int | float] = {},  # never changed
    ) -> Self:
        """The module in a ``.wasm`` file, or in its bytes; what it was translated to before comes out of the cache.

        `pages` of 64 KiB are what the memory of a lane may grow to, `stack` the bytes of a lane for frames of functions that call themselves,
        `globals_` the values of imported globals by ``module.name``.

        Raises `WasmError` for a module that is malformed, invalid or not supported, `UsageError` for a file that is not there.
        """
        data, name = _bytes_of(source)
        key = key_of(data, pages, stack, sorted(globals_.items()))
        found = fetch(key)
        state = found if isinstance(found, State) else State(decode(data, name), pages, stack, globals_)
        program = cls(state.module, pages, stack, globals_=globals_, state=state)
        program.key, program.data = key, data
        return program

    def kernel(self, function: int, scalars: frozenset[int] = frozenset()) -> Module:
        """The program of the IR that calls a function by its number; arguments in `scalars` are the same in all lanes."""
        if (function, scalars) not in self._kernels:
            self.restore()
            self._kernels[function, scalars] = call_kernel(self.module, self.state, function, scalars)
        return self._kernels[function, scalars]

    def resumable(self, function: int, device: Device) -> Resumable:
        """What runs a function by its number in rounds; see `rounds`. On the software GPU that is interpreted, where it can be."""
        is_apart = device.backend != "wgpu"
        is_tiered = self.is_tiered(device)
        if (function, is_apart, is_tiered) not in self._resumable:
            if is_tiered:
                found = self._first_tier(function)
            else:
                self.restore()
                found = resumable(self.module, self.state, function, is_apart=is_apart)
            self._resumable[function, is_apart, is_tiered] = found
        return self._resumable[function, is_apart, is_tiered]

    def is_tiered(self, device: Device) -> bool:
        """Whether functions in rounds are interpreted first, and compiled as lanes come to them."""
        return device.backend == "cpu" and not device.options

    def _first_tier(self, function: int) -> Resumable:
        key = f"{self.key}-{function}"
        found = fetch(key) if self.key else None
        if isinstance(found, Resumable) and is_usable(found):
            return found
        self.restore()
        found = interpreted(self.module, self.state, function)
        if found is None:
            translation = self.translation(function)
            translation.make({function})
            assert translation.code
            return translation.code
        if self.key:
            keep(key, found)
            keep(self.key, self.state.without_code())
        return found

    def translation(self, function: int) -> Translation:
        """The machine code of a function in rounds, as far as it is there."""
        if function not in self._translations:
            self._translations[function] = Translation(self, function)
        return self._translations[function]

    def close(self) -> None:
        """End compilers that run for the program."""
        for each in self._translations.values():
            each.close()

    def restore(self) -> None:
        """Bring the code of functions back, where the module came from the cache without it."""
        bodies = self.module.bodies
        if bodies and not bodies[0].instructions:
            self.module.bodies[:] = decode(self.data).bodies

    def function(self, name: str) -> int:
        """The number of an exported function; `UsageError` where there is none."""
        found = self.module.exports.get(name)
        if found is None or found.kind is not Kind.FUNCTION:
            names = [each.name for each in self.module.exports.values() if each.kind is Kind.FUNCTION]
            raise UsageError(f"there is no exported function {name!r}; the module has {', '.join(names) or 'none'}")
        return found.index
