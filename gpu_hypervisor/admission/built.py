"""What the hypervisor and its builders say to each other."""

from __future__ import annotations

import hashlib
import struct
from functools import cached_property

import msgspec

from pixel_cpu import errors
from pixel_cpu.errors import DeviceError, GlassBoxError, IrError, SourceError
from pixel_cpu.ir.model import Kernel, Memory, Module, Region, Space, Value
from pixel_cpu.ir.types import Type

LENGTH = struct.Struct("<I")
"""Before each message."""


class BuildRequest(msgspec.Struct, frozen=True, tag="build"):
    """A kernel of a text, made ready for a back end and groups of `threads` lanes; None: the kernel's own."""

    backend: str
    language: str
    text: str
    kernel: str | None
    threads: int | None

    @property
    def digest(self) -> str:
        """A name of what is asked for: the same request, the same name."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()[:32]


class MemoryInfo(msgspec.Struct, frozen=True, array_like=True):
    """A buffer or another memory of a kernel."""

    name: str
    space: str
    element: str
    length: int | None
    is_writable: bool


class Built(msgspec.Struct, frozen=True, tag="built", dict=True):
    """A kernel that may run.

    `text` is its module, verified and proved; `proved` and `checked` count its accesses. `operations` are those of the kernel with the
    functions that it calls, `loops` of them loops: what a lane costs where there are none.
    """

    kernel: str
    group: int
    scalars: dict[str, str]
    memories: tuple[MemoryInfo, ...]
    text: str
    proved: int
    checked: int
    operations: int
    loops: int
    is_latency_critical: bool = False

    @cached_property
    def module(self) -> Module:
        """A module with the kernel's parameters and memory, without its body: what launches are checked against."""
        parameters = tuple(Value(Type(kind), name) for name, kind in self.scalars.items())
        memories = tuple(
            Memory(each.name, Space(each.space), Type(each.element), each.length, each.is_writable)
            for each in self.memories
        )
        return Module({self.kernel: Kernel(self.kernel, parameters, memories, Region(), self.group)})


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """Why a text is no kernel: the class of the error and what it carries."""

    kind: str
    message: str
    line: int | None = None
    column: int | None = None
    source_line: str = ""
    others: tuple[Failure, ...] = ()

    @classmethod
    def of(cls, error: GlassBoxError) -> Failure:
        """The failure that tells an error."""
        if isinstance(error, SourceError):
            others = tuple(cls.of(other) for other in error.others)
            return cls("SourceError", error.message, error.line, error.column, error.text, others)
        return cls(type(error).__name__, str(error), getattr(error, "line", None))

    @property
    def error(self) -> GlassBoxError:
        """The error that was told."""
        if self.kind == "SourceError":
            others = [other.error for other in self.others]
            return SourceError(
                self.message,
                line=self.line or 0,
                column=self.column or 0,
                text=self.source_line,
                others=[other for other in others if isinstance(other, SourceError)],
            )
        if self.kind == "IrError":
            return IrError(self.message, line=self.line)
        kind = getattr(errors, self.kind, DeviceError)
        if not (isinstance(kind, type) and issubclass(kind, GlassBoxError)) or kind in (
            errors.TrapError,
            errors.WasmError,
        ):
            kind = DeviceError
        found: GlassBoxError = kind(self.message)
        return found


Reply = Built | Failure
