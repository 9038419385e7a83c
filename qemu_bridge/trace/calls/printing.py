"""System calls as text, the way ``strace`` shows them.

>>> format_call(call)
'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3'
"""

from __future__ import annotations

import errno
import os

from .constants import name_constant
from .system_call import Outcome, SystemCall

_AT_FDCWD = -100
_O_CREAT, _O_TMPFILE = 0o100, 0o20000000
_ADDRESSES = frozenset(("mmap", "mmap2", "brk", "mremap", "shmat"))
"""Calls that return an address."""
_ESCAPES = {ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r", ord('"'): '\\"', ord("\\"): "\\\\"}
_ENDS = {
    Outcome.NO_RETURN: "?",
    Outcome.RESTARTED: "? (interrupted, and made again)",
    Outcome.OPEN: "<unfinished ...>",
}


def format_call(call: SystemCall) -> str:
    """Name, arguments and result. Texts that were not recorded are shown as their address."""
    if call.outcome is Outcome.BEGAN_BEFORE:
        return f"<... resumed> = {call.result}"
    return f"{call.name}({', '.join(_arguments(call))}) = {format_result(call)}"


def format_result(call: SystemCall) -> str:
    """The result, an error with its name and meaning; or how it ended without one."""
    if call.result is None:
        return _ENDS[call.outcome]
    if call.is_error:
        name = errno.errorcode.get(-call.result, str(-call.result))
        return f"-1 {name} ({os.strerror(-call.result)})"
    if call.name in _ADDRESSES:
        return f"{call.result & 0xFFFFFFFFFFFFFFFF:#x}"
    return str(call.result)


def _arguments(call: SystemCall) -> list[str]:
    kinds = call.call.kinds if call.call else ""
    shown = [_argument(call, place, kind) for place, kind in enumerate(kinds)]
    # A mode counts only where a file may be made.
    flags = kinds.find("n")
    if kinds[flags : flags + 2] == "nm" and not call.arguments[flags] & (_O_CREAT | _O_TMPFILE):
        del shown[flags + 1 :]
    return shown


def _argument(call: SystemCall, place: int, kind: str) -> str:
    value = call.arguments[place]
    if place in call.texts:
        return quote(*call.texts[place])
    if kind in "fdD":
        number = (value & 0xFFFFFFFF) - (1 << 32) * (value >> 31 & 1)
        return "AT_FDCWD" if kind == "D" and number == _AT_FDCWD else str(number)
    if kind == "u":
        return str(value)
    if kind == "m":
        return f"0{value & 0xFFFFFFFF:o}" if value else "0"
    if kind in "psb":
        return f"{value:#x}" if value else "NULL"
    return name_constant(kind, value) or f"{value:#x}"


def quote(text: bytes, has_more: bool) -> str:
    """Bytes in quotes, what cannot be printed as escapes; dots behind them if there was more."""
    shown = "".join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in text)
    return f'"{shown}"' + "..." * has_more
