"""Commands, what each carries, and what replies say. docs/gpu-protocol.md is the same for people.

Every reply begins with a code: `Code.OK` and the fields of its command, or another one and the fields of `Refusal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from qemu_bridge.errors import GlassBoxError

from .payload import PayloadError, Reader, Writer

Kind = TypeVar("Kind", bound=IntEnum)

MOST_ARGUMENTS = 64
MOST_NAME_BYTES = 64


class Command(IntEnum):
    """What a guest may ask."""

    SUBMIT_PRIMITIVE = 0x100
    ALLOC_MEMORY = 0x101
    FREE_MEMORY = 0x102
    QUERY_STATUS = 0x103
    CANCEL = 0x104
    WAIT = 0x105
    LIMITS = 0x106
    CAPABILITIES = 0x107


class Code(IntEnum):
    """The first field of a reply: what became of the request."""

    OK = 0
    MALFORMED = 1
    VERSION = 2
    COMMAND = 3
    REPLAYED = 4
    SESSION = 5
    SOURCE = 6
    PROGRAM = 7
    LAUNCH = 8
    QUOTA = 9
    HANDLE = 10
    BUSY = 11
    DEADLINE = 12
    REFUSED = 13
    TRAP = 14
    LIMIT = 15
    DEVICE = 16
    CANCELLED = 17
    ADDRESS = 18
    JOB = 19
    USAGE = 20
    FAILED = 21


_CODES = {
    "PayloadError": Code.MALFORMED,
    "SourceError": Code.SOURCE,
    "IrError": Code.PROGRAM,
    "LaunchError": Code.LAUNCH,
    "QuotaError": Code.QUOTA,
    "BusyHandleError": Code.BUSY,
    "HandleError": Code.HANDLE,
    "DeadlineError": Code.DEADLINE,
    "AdmissionError": Code.REFUSED,
    "TrapError": Code.TRAP,
    "LimitError": Code.LIMIT,
    "DeviceError": Code.DEVICE,
    "AddressError": Code.ADDRESS,
    "UnknownJobError": Code.JOB,
    "UsageError": Code.USAGE,
}
"""By the class of an error, or the nearest class above it."""


class Element(IntEnum):
    """The type of an array's elements; the value is the code on the wire."""

    U8 = 0
    I8 = 1
    U16 = 2
    I16 = 3
    U32 = 4
    I32 = 5
    U64 = 6
    I64 = 7
    F32 = 8
    F64 = 9

    @property
    def dtype(self) -> str:
        """As NumPy writes it."""
        return f"<{self.name[0].lower()}{int(self.name[1:]) // 8}"


class Language(IntEnum):
    """What a kernel's text is written in."""

    GPK = 0
    IR = 1


@dataclass(frozen=True, slots=True)
class Number:
    """An argument that is one number, as text, so that the kernel's own type decides how it is read."""

    text: str

    @property
    def value(self) -> int | float:
        """The number; `PayloadError` for a text that is none."""
        for read in (lambda text: int(text, 0), float):
            try:
                return read(self.text)
            except ValueError:
                continue
        raise PayloadError(f"{self.text[:40]!r} is no number; give digits such as 2, -0.5, 1e-3 or 0xff")


@dataclass(frozen=True, slots=True)
class Memory:
    """An argument that is `size` bytes from `offset` on in allocated memory `handle`, in place."""

    handle: int
    offset: int
    size: int
    element: Element


@dataclass(frozen=True, slots=True)
class Virtual:
    """An argument that is `size` bytes at virtual `address` of process `pid` of the guest, which are read and never written."""

    pid: int
    address: int
    size: int
    element: Element


Argument = Number | Memory | Virtual


@dataclass(frozen=True, slots=True)
class Submit:
    """A kernel to run: its text lies in allocated memory, `text` says where. A number that is 0 and a name that is empty are not given."""

    text: Memory
    language: Language
    job_class: int
    lanes: int
    blocks: int
    threads: int
    deadline_us: int
    limit_us: int
    fuel: int
    kernel: str
    label: str
    arguments: dict[str, Argument]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request, or the job that was waited for, failed: place in the kernel's text (from 1; 0: none), and what is left of a quota."""

    code: Code
    message: str
    line: int = 0
    column: int = 0
    left: int = 0

    @classmethod
    def of(cls, error: GlassBoxError) -> Refusal:
        """What a guest is told of `error`."""
        code = next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), Code.FAILED)
        numbers = {name: getattr(error, name, None) or 0 for name in ("line", "column", "left")}
        whole = {name: int(value) if isinstance(value, int | float) else 0 for name, value in numbers.items()}
        # A guest has the place as numbers, and names its own file before them.
        message = str(error).removeprefix(f"line {whole['line']}:{whole['column']}: ")
        return cls(code, message, **{name: max(0, value) for name, value in whole.items()})

    def encode(self) -> bytes:
        """The payload of a reply that refuses."""
        return Writer().u16(self.code).u32(self.line).u32(self.column).u64(self.left).text(self.message).content


def accepted() -> Writer:
    """The beginning of the payload of a reply that grants."""
    return Writer().u16(Code.OK)


def read_submit(payload: bytes) -> Submit:
    """The fields of SUBMIT_PRIMITIVE; `PayloadError` where they cannot be."""
    reader = Reader(payload)
    text = Memory(reader.u64(), reader.u64(), reader.u64(), Element.U8)
    language, job_class, count = _one_of(Language, reader.u8()), reader.u8(), reader.u16()
    lanes, blocks, threads = reader.u64(), reader.u64(), reader.u32()
    deadline_us, limit_us, fuel = reader.u64(), reader.u64(), reader.u64()
    kernel, label = _name(reader), _name(reader)
    if count > MOST_ARGUMENTS:
        raise PayloadError(f"{count} arguments are too many; a kernel takes up to {MOST_ARGUMENTS}")
    arguments: dict[str, Argument] = {}
    for _ in range(count):
        kind, name = reader.u8(), _name(reader)
        if name in arguments or not name:
            raise PayloadError(f"argument {name!r} is given twice" if name else "an argument has no name")
        arguments[name] = _read_argument(kind, reader)
    reader.end()
    return Submit(
        text, language, job_class, lanes, blocks, threads, deadline_us, limit_us, fuel, kernel, label, arguments
    )


def _read_argument(kind: int, reader: Reader) -> Argument:
    match kind:
        case 0:
            return Number(_name(reader))
        case 1:
            element = _one_of(Element, reader.u8())
            return Memory(reader.u64(), reader.u64(), reader.u64(), element)
        case 2:
            element = _one_of(Element, reader.u8())
            return Virtual(reader.u32(), reader.u64(), reader.u64(), element)
    raise PayloadError(f"{kind} is no kind of argument; kinds are 0 to 2")


def _name(reader: Reader) -> str:
    found = reader.text()
    if len(found) > MOST_NAME_BYTES or not found.isprintable():
        raise PayloadError(f"a name has up to {MOST_NAME_BYTES} characters, which can be printed")
    return found


def _one_of(kind: type[Kind], value: int) -> Kind:
    try:
        return kind(value)
    except ValueError:
        raise PayloadError(f"{value} is no {kind.__name__.lower()}; they go up to {max(kind)}") from None
