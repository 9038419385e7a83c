"""Programs of kernels: loaded from a file, launched on arrays.

>>> kernel = load("saxpy.gpk").kernel()
>>> kernel.launch(n, a=2.0, x=x, y=y, device="cpu")
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backends.launch import DEFAULT_FUEL, HostFunction, Launch, Outcome, check
from ..errors import LaunchError, SourceError, UsageError
from ..ir import model
from ..ir.text import read
from ..ir.verifier import verify
from .device import DEFAULT_SECONDS, Device

if TYPE_CHECKING:
    from ..frontends.primitives.tree import HostStatement
    from .host import HostResult

MAX_SOURCE_BYTES = 16 << 20
"""A longer program is refused before it is read."""

_shared: dict[str, Device] = {}
_shared_lock = threading.Lock()


def shared_device(name: str) -> Device:
    """The device of this process that launches by name use; it is opened once, and closed at exit."""
    with _shared_lock:
        if name not in _shared:
            _shared[name] = Device(name)
            atexit.register(_shared[name].close)
        return _shared[name]


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be launched."""

    module: model.Module
    name: str

    @property
    def definition(self) -> model.Kernel:
        """Its parameters, memory and body."""
        return self.module.kernels[self.name]

    def launch(
        self,
        lanes: int | None = None,
        *,
        blocks: int | None = None,
        threads: int | None = None,
        device: str | Device = "cpu",
        fuel: int = DEFAULT_FUEL,
        seconds: float = DEFAULT_SECONDS,
        host_functions: Mapping[str, HostFunction] | None = None,
        raise_traps: bool = True,
        arguments: Mapping[str, Any] | None = None,
        **named: Any,  # noqa: ANN401  # scalars and arrays by the kernel's own names
    ) -> Outcome:
        """Run the kernel on `lanes` lanes, or on `blocks` groups of `threads` lanes; arrays are changed in place.

        `threads` defaults to the kernel's own group. The kernel's scalars and buffers are given by name; one whose name is a
        parameter of this method, such as ``seconds``, in `arguments`. An array's dtype is the buffer's. `fuel` bounds the ways round loops of each lane, `seconds` the launch. Raises `LaunchError` for arguments that do
        not fit, `TrapError` for the lowest lane that ended by a trap (unless `raise_traps` is false), `LimitError` and
        `DeviceError` as `Device.run`.
        """
        kernel = self.definition
        group = kernel.group if threads is None else threads
        if (lanes is None) == (blocks is None):
            raise LaunchError("a launch needs lanes, or blocks with threads")
        count = lanes if lanes is not None else (blocks or 0) * group
        given = {**named, **(arguments or {})}
        scalars = {name: value for name, value in given.items() if name in kernel.scalars}
        buffers = {name: value for name, value in given.items() if name not in kernel.scalars}
        launch = check(kernel, Launch(count, group, scalars, buffers, fuel, host_functions=host_functions or {}))
        where = device if isinstance(device, Device) else shared_device(device)
        outcome = where.run(self.module, self.name, launch, seconds)
        if raise_traps:
            outcome.raise_trap(self.name)
        return outcome


@dataclass(frozen=True)
class Program:
    """The kernels of one text, and the statements of its host's program, which a text in the primitives language may have."""

    module: model.Module
    host: tuple[HostStatement, ...] = ()

    def run(
        self,
        device: str | Device = "cpu",
        seconds: float = DEFAULT_SECONDS,
        *,
        arguments: Mapping[str, Any] | None = None,
        **named: Any,  # noqa: ANN401  # by the text's own names
    ) -> HostResult:
        """Run the host's program on the numbers and arrays that it names and does not make.

        They are given by name; one whose name is a parameter of this method, such as ``seconds``, in `arguments`. Gives what it
        copies back. Raises `UsageError` where the text has no such program, `LaunchError` for what is not given, does not fit or is
        not named by the text, and what `Kernel.launch` raises.
        """
        from .host import run_host  # the language's records, which a launch of an IR text does not need

        if not self.host:
            raise UsageError("the text has no statements for the host; launch one of its kernels")
        own = device if isinstance(device, Device) else shared_device(device)
        return run_host(
            lambda name, **words: self.kernel(name).launch(**words),
            self.host,
            own,
            {**named, **(arguments or {})},
            seconds,
        )

    def kernel(self, name: str | None = None) -> Kernel:
        """The kernel of that name; without one the only kernel. `UsageError` where there is none, or more than one."""
        names = list(self.module.kernels)
        if name is None and not names:
            raise UsageError("the program has no kernel")
        if name is None and len(names) != 1:
            raise UsageError(f"the program has {len(names)} kernels; name one: {', '.join(names)}")
        chosen = names[0] if name is None else name
        if chosen not in self.module.kernels:
            raise UsageError(f"there is no kernel {chosen!r}; the program has {', '.join(names) or 'none'}")
        return Kernel(self.module, chosen)


def load(path: str | Path) -> Program:
    """The program in a file: the primitives language, or the IR's text in a file that ends with ``.ir``, which may be left out.

    Raises `SourceError` with line and column, `IrError` for a program that breaks a rule, `UsageError` for a file that is not there.
    """
    file = Path(path)
    named = file.with_name(f"{file.name}.ir")
    if not file.exists() and named.is_file():
        file = named
    return loads(read_source(file), language="ir" if file.suffix == ".ir" else "gpk", file=str(file))


def read_source(file: Path) -> str:
    """The text of a file of kernels; `UsageError` where it is not there, is too long or is no UTF-8."""
    try:
        if file.stat().st_size > MAX_SOURCE_BYTES:
            raise UsageError(f"{file} has more than {MAX_SOURCE_BYTES >> 20} MiB, which no kernel needs")
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no UTF-8 text: byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None


def loads(text: str, *, language: str = "gpk", file: str = "") -> Program:
    """The program of a text in the primitives language (``gpk``) or the IR's own form (``ir``)."""
    if language == "gpk":
        from ..frontends.primitives import compile_source  # the parser, which a launch of an IR text does not need

        compiled = compile_source(text, file)
        return Program(compiled.module, compiled.host)
    if language != "ir":
        raise UsageError(f"{language!r} is no language of kernels; they are gpk and ir")
    try:
        return Program(verify(read(text)))
    except SourceError as error:
        raise SourceError(error.message, line=error.line, column=error.column, text=error.text, file=file) from None
