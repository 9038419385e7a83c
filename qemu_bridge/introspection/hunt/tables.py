"""System calls and interrupts: where the entries of the two tables lead.

Each entry of ``sys_call_table`` is a function of the kernel made for one system call (``arch/x86/entry/syscall_64.c``); which
one, the kernel has noted a second time for its tracing (``kernel/trace/trace_syscalls.c``). Since release 6.9, and 6.1.85 and
6.6.26 of the stable ones, system calls go through a switch, ``x64_sys_call``, and the table serves tracing alone.

Each gate of the interrupt table leads to the kernel's entry code (``arch/x86/kernel/idt.c``). Gates that the processor
never uses still lead to where they led while the kernel started.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...kernel.budget import Budget
from ...kernel.objects import KernelObjects
from ...memory.addresses import VirtualAddress
from ...wire.records import Finding, FindingKind
from ..overlays import OverlayContext
from .code import KernelCode

SYSTEM_CALL_TABLES = ("sys_call_table", "ia32_sys_call_table")
_MAX_SYSTEM_CALLS = 1024
_HANDLER = "__x64_"
_GATES, _GATE_SIZE = 256, 16
_EARLY_HANDLER_SIZES = (9, 13)
"""``EARLY_IDT_HANDLER_SIZE``, without and with room for the mark of an indirect branch's target."""
_MAX_NAME = 128
_PRESENT = 0x80


def read_tables(context: OverlayContext, budget: Budget) -> Iterator[Finding]:
    """Yield the entries that lead elsewhere."""
    code = KernelCode.of(context)
    yield from _system_calls(context, code, budget)
    yield from _interrupt_gates(context, code, budget)


def _system_calls(context: OverlayContext, code: KernelCode, budget: Budget) -> Iterator[Finding]:
    space = context.objects
    tables = {name: _entries(context, name) for name in SYSTEM_CALL_TABLES}
    if not tables["sys_call_table"]:
        budget.skip("the table of system calls was not checked: this kernel has no symbol sys_call_table")
    noted = _noted_names(space, len(tables["sys_call_table"]))
    through_switch = bool(space.address_of("x64_sys_call"))
    for table, entries in tables.items():
        names = noted if table == "sys_call_table" else {}
        others = {_HANDLER + name for name in names.values()}
        for number, handler in enumerate(entries):
            name = names.get(number, "")
            if not handler or _is_own(context, handler, _HANDLER + name if name else "", others):
                continue
            yield _redirected(table, number, name, space.address_of(table), handler, code, through_switch)


def _entries(context: OverlayContext, table: str) -> list[int]:
    """The entries of a table; behind the last there may be zeros."""
    start = context.objects.address_of(table)
    symbol = context.symbols.at(start) if start else None
    if symbol is None:
        return []
    return context.objects.words(start, min((context.symbols.end_of(symbol) - start) // 8, _MAX_SYSTEM_CALLS))


def _is_own(context: OverlayContext, handler: int, wanted: str, others: set[str]) -> bool:
    """Whether a function of the image begins at `handler`, and is the one that is `wanted`.

    What the kernel was built without has no name that is wanted; its entry leads to none of the `others`.
    """
    symbol = context.symbols.at(handler)
    if symbol is None or symbol.offset or symbol.module:
        return False
    names = set(_names_at(context, handler))
    return wanted in names if wanted else not names & others


def _names_at(context: OverlayContext, address: int) -> Iterator[str]:
    """Yield all names of an address of the image: a function may have several."""
    table = context.symbols.kernel.kallsyms
    first, last = (int(np.searchsorted(table.addresses, np.uint64(address), side=side)) for side in ("left", "right"))
    return (table[row].name for row in range(first, last))


def _redirected(
    table: str, number: int, name: str, start: int, handler: int, code: KernelCode, through_switch: bool
) -> Finding:
    evidence = [f"{table}+{8 * number:#x} holds {handler:#x}: {code.name(handler)}"]
    if name:
        evidence.append(f"the kernel noted {_HANDLER}{name} as its function when it started")
    if through_switch:
        evidence.append(
            "system calls of this kernel go through x64_sys_call, which does not read the table: what reads it follows the entry"
        )
    kind = "system call" if table == "sys_call_table" else "32-bit system call"
    return Finding(
        FindingKind.SYSTEM_CALL,
        f"{kind} {number}" + (f" ({name.removeprefix('sys_')})" if name else ""),
        "The entry of the system call does not lead to the kernel's own function for it: it was redirected.",
        tuple(evidence),
        VirtualAddress(start + 8 * number),
    )


def _noted_names(space: KernelObjects, count: int) -> dict[int, str]:
    """The name of each system call, ``sys_kill``, as the kernel noted it when it started; empty where it notes none."""
    table = space.address_of("syscalls_metadata")
    array = space.unsigned(table) if table and space.has("syscall_metadata", "name") else 0
    found: dict[int, str] = {}
    for number, address in enumerate(space.words(array, count) if array else ()):
        note = space.at("syscall_metadata", address)
        if address and note["syscall_nr"] == number:
            found[number] = note.text_at("name", _MAX_NAME)
    return found


def _interrupt_gates(context: OverlayContext, code: KernelCode, budget: Budget) -> Iterator[Finding]:
    space = context.objects
    table = space.address_of("idt_table")
    if not table:
        budget.skip("the table of interrupts was not checked: this kernel has no symbol idt_table")
        return
    yield from _moved_table(space, table)
    first, last = space.address_of("__entry_text_start"), space.address_of("__entry_text_end")
    early = space.address_of("early_idt_handler_array")
    gates = space.read(table, _GATES * _GATE_SIZE)
    for vector in range(_GATES):
        gate = gates[vector * _GATE_SIZE : (vector + 1) * _GATE_SIZE]
        handler = int.from_bytes(gate[:2] + gate[6:12], "little")
        is_entry = first <= handler < last if first and last else code.is_image(handler)
        is_early = bool(early) and handler in [early + vector * size for size in _EARLY_HANDLER_SIZES]
        if is_entry or is_early or not gate[5] & _PRESENT:
            continue
        yield Finding(
            FindingKind.INTERRUPT_GATE,
            f"interrupt vector {vector}",
            "The gate does not lead to the kernel's entry code: whoever owns the code there sees the interrupt first.",
            (f"idt_table+{vector * _GATE_SIZE:#x} leads to {handler:#x}: {code.name(handler)}",),
            VirtualAddress(table + vector * _GATE_SIZE),
        )


def _moved_table(space: KernelObjects, table: int) -> Iterator[Finding]:
    """Yield a finding where the kernel loads another table into its processors than its own."""
    descriptor = space.address_of("idt_descr")
    if not descriptor:
        return
    loaded = space.unsigned(descriptor + 2)
    if space.physical(loaded) == space.physical(table):
        return
    yield Finding(
        FindingKind.INTERRUPT_GATE,
        "table of interrupts",
        "Processors are given another table of interrupts than the kernel's own.",
        (f"idt_descr leads to {loaded:#x}, which is not the memory of idt_table at {table:#x}",),
        VirtualAddress(descriptor),
    )
