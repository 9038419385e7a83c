"""The kernel's own code and constants, where they lead out of the kernel.

No function of the image begins with a jump or a call that leaves the image: what a linker made in one piece stays in it. Those who patch
it while it runs are the kernel's own: ftrace, BPF and kprobes write calls and jumps to code that they made themselves, in the part of the address
space where modules are, and static calls (``__SCT__``) lead to whom they serve, a module too.

The image's constants (``.rodata``, with what is constant once the kernel has started) were made before any module was loaded: tables
of operations, such as those of ``/proc``, and of system calls, never lead into a module. From release 6.10 on they also say where memory for
code begins (``execmem_info``), where the first module may be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...kernel.budget import Budget
from ...kernel.columns import U64Array
from ...memory.addresses import VirtualAddress
from ...wire.records import Finding, FindingKind, Symbol
from ..overlays import OverlayContext
from .code import KernelCode
from .tables import SYSTEM_CALL_TABLES

_LANDING = tuple(map(bytes.fromhex, ("f30f1efa", "660f1f00", "0f1f40d6")))
"""Where an indirect call may land, ``endbr64``, and what the kernel writes over it where none does (``arch/x86/include/asm/ibt.h``)."""
_NOP5 = bytes.fromhex("0f1f440000")
_CALL, _JUMP = 0xE8, 0xE9
_LONGEST = 16
"""Bytes of the longest jump looked for, and of what may stand before it."""
_BEFORE = len(_LANDING[0]) + len(_NOP5)
_STATIC_CALL = "__SCT__"
_EXECMEM = ("execmem_info", "default_execmem_info")
"""Where memory for code may be taken from (``mm/execmem.c``, ``arch/x86/mm/init.c``)."""
_FUNCTIONS = np.frombuffer(b"tTwW", np.uint8)
_MOST = 256
_U64 = (1 << 64) - 1


def read_hooks(context: OverlayContext, budget: Budget) -> Iterator[Finding]:
    """Yield functions that begin with a jump out of the image, and constants that lead out of it."""
    code = KernelCode.of(context)
    if code.text is None:
        budget.skip("the kernel's own code was not checked: its symbols do not say where it is")
        return
    yield from _first(_functions(context, code, budget), "functions begin with a jump out of the kernel", budget)
    yield from _first(_constants(context, code, budget), "constants lead out of the kernel", budget)


def _first(findings: Iterator[Finding], what: str, budget: Budget) -> Iterator[Finding]:
    """Yield as many as somebody reads, and note if there are more."""
    yield from itertools.islice(findings, _MOST)
    if next(findings, None) is not None:
        budget.skip(f"more than {_MOST} {what}; these are the first")


def far_target(code: bytes, address: int) -> tuple[int, bool] | None:
    """Where the instructions at `address` jump or call, and whether the address there is a pointer to it; None if they do not.

    These are known: a relative jump or call, a jump through memory, an address in a register and a jump to it, and one pushed
    and returned to.
    """
    if code[0] in (_CALL, _JUMP):
        return address + 5 + int.from_bytes(code[1:5], "little", signed=True) & _U64, False
    if code[:2] == b"\xff\x25":
        return address + 6 + int.from_bytes(code[2:6], "little", signed=True) & _U64, True
    if code[0] == 0x68 and code[5] == 0xC3:
        return int.from_bytes(code[1:5], "little", signed=True) & _U64, False
    if code[0] in (0x48, 0x49) and 0xB8 <= code[1] <= 0xBF:
        register, high = code[1] & 7, code[0] == 0x49
        prefix = b"\x41" if high else b""
        leaves = (prefix + bytes([0xFF, 0xE0 | register]), prefix + bytes([0x50 | register, 0xC3]))
        if code[10:].startswith(leaves):
            return int.from_bytes(code[2:10], "little"), False
    return None


def _functions(context: OverlayContext, code: KernelCode, budget: Budget) -> Iterator[Finding]:
    assert code.text is not None
    start = code.text.start
    text = np.frombuffer(context.page_tables.read_some(start, code.text.end - start), np.uint8)
    budget.spend(1, len(text))
    table = context.kernel.kallsyms
    letters = np.frombuffer(table.text, np.uint8)[table.starts + 1]
    inside = (table.addresses >= np.uint64(start)) & (
        table.addresses < np.uint64(start + max(len(text) - _BEFORE - _LONGEST, 0))
    )
    functions = np.unique(table.addresses[np.isin(letters, _FUNCTIONS) & inside] - np.uint64(start)).astype(np.int64)
    first = functions + 4 * np.any([_begins(text, functions, landing) for landing in _LANDING], axis=0)
    traced = _begins(text, first, _NOP5) | (text[first] == _CALL)
    for place in np.unique(
        np.concatenate([_leaving(text, first), _leaving(text, first[traced] + len(_NOP5))])
    ).tolist():
        content = text[place : place + _LONGEST].tobytes()
        target = far_target(content, start + place)
        if target is None:
            continue
        leads_to = target[0] if not target[1] else _pointer(context, target[0])
        symbol = context.symbols.at(start + place)
        name = symbol.name if symbol else f"{start + place:#x}"
        if (
            code.is_in_image(leads_to)
            or code.is_made(leads_to)
            or (name.startswith(_STATIC_CALL) and code.is_module(leads_to))
        ):
            continue
        yield Finding(
            FindingKind.FUNCTION_HOOK,
            name,
            "The function begins with a jump or a call out of the kernel's image: whoever owns the code there sees each call first.",
            (
                f"{context.symbols.describe(start + place)} leads to {leads_to:#x}: {code.name(leads_to)}",
                f"it is {content.hex(' ')}",
            ),
            VirtualAddress(start + place),
        )


def _begins(text: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], wanted: bytes) -> npt.NDArray[np.bool_]:
    """Which of `places` in `text` begin with these bytes."""
    found = text[places[:, None] + np.arange(len(wanted))] == np.frombuffer(wanted, np.uint8)
    return np.asarray(found.all(axis=1))


def _leaving(text: npt.NDArray[np.uint8], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of `places` that may have one of the jumps of `far_target` out of `text`."""
    first, second = text[places], text[places + 1]
    distance = np.ascontiguousarray(text[places[:, None] + np.arange(1, 5)]).view("<i4")[:, 0].astype(np.int64)
    target = places + 5 + distance
    relative = ((first == _CALL) | (first == _JUMP)) & ((target < 0) | (target >= len(text)))
    absolute = ((first == 0x48) | (first == 0x49)) & (second >= 0xB8) & (second <= 0xBF)
    other = ((first == 0xFF) & (second == 0x25)) | (first == 0x68)
    leaving: npt.NDArray[np.int64] = places[relative | absolute | other]
    return leaving


def _pointer(context: OverlayContext, address: int) -> int:
    return int.from_bytes(context.page_tables.read_some(VirtualAddress(address), 8), "little")


def _constants(context: OverlayContext, code: KernelCode, budget: Budget) -> Iterator[Finding]:
    section = next((section for section in context.kernel.sections() if section.name == "rodata"), None)
    if section is None:
        budget.skip("the kernel's constants were not checked: its symbols do not say where they are")
        return
    data = context.page_tables.read_some(section.start, section.end - section.start & -8)
    budget.spend(1, len(data))
    words: U64Array = np.frombuffer(data[: len(data) & -8], "<u8")
    leads_out = np.zeros(len(words), np.bool_)
    for start, end in (*code.modules, *code.outside()):
        leads_out |= (words >= np.uint64(start)) & (words < np.uint64(end))
    for row in np.flatnonzero(leads_out).tolist():
        place, target = section.start + 8 * row, int(words[row])
        symbol = context.symbols.at(place)
        if symbol is not None and symbol.name in SYSTEM_CALL_TABLES:
            continue  # `tables` says more of it
        if symbol is not None and _is_execmem_range(context, symbol):
            continue
        yield Finding(
            FindingKind.CONSTANT_HOOK,
            symbol.name if symbol else f"{place:#x}",
            "A constant of the kernel leads into code that was loaded later: an entry of a table of operations was redirected.",
            (f"{context.symbols.describe(place)} holds {target:#x}: {code.name(target)}",),
            VirtualAddress(place),
        )


def _is_execmem_range(context: OverlayContext, symbol: Symbol) -> bool:
    """Whether a word is of the ranges that memory for code is taken from: all that is there but a function, in some releases."""
    space, function = context.objects, ("execmem_info", "fill_trapping_insns")
    return symbol.name in _EXECMEM and not (space.has(*function) and symbol.offset == space.offset(*function))
