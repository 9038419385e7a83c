"""The verbs ps, maps, modules and sym: names from guest RAM alone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import (
    COMPLETE_PID,
    COMPLETE_SYMBOL,
    Verbs,
    add_json,
    add_name,
    add_verb,
    complete_by,
    connect,
    print_lines,
    print_rows,
    printable,
    say_skipped,
)

if TYPE_CHECKING:
    from ..wire.records import MemoryMapping


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "ps", ps, "glassbox ps demo")
    add_name(parser)
    add_json(parser)
    parser = add_verb(verbs, "maps", maps, "glassbox maps demo 1")
    add_name(parser)
    argument = parser.add_argument("pid", metavar="PID", type=int, help="a process of 'glassbox ps'")
    complete_by(argument, COMPLETE_PID)
    add_json(parser)
    parser = add_verb(verbs, "modules", modules, "glassbox modules demo")
    add_name(parser)
    add_json(parser)
    parser = add_verb(verbs, "sym", sym, "glassbox sym demo init_task")
    add_name(parser)
    argument = parser.add_argument(
        "symbol", metavar="SYMBOL|ADDRESS", help="a symbol of the kernel or a module, or a kernel virtual address"
    )
    complete_by(argument, COMPLETE_SYMBOL)
    add_json(parser)


PROCESS_COLUMNS = ("pid", "parent_pid", "uid", "state", "thread_count", "resident_pages", "name", "command_line")


def ps(options: argparse.Namespace) -> None:
    """List the guest's processes, read from its RAM."""
    with connect(options) as client:
        processes = client.ps()
    print_rows(processes, PROCESS_COLUMNS, options.json)
    say_skipped(processes)


def maps(options: argparse.Namespace) -> None:
    """List a process's virtual memory areas, as /proc/PID/maps would."""
    with connect(options) as client:
        rows = client.maps(options.pid)
    say_skipped(rows)
    if options.json:
        print_rows(rows, (), as_json=True)
    elif rows.value:
        print_lines("\n".join(map(format_mapping, rows)))


def modules(options: argparse.Namespace) -> None:
    """List the loaded kernel modules."""
    with connect(options) as client:
        rows = client.modules()
    say_skipped(rows)
    if options.json:
        print_rows(rows, (), as_json=True)
    else:
        shown = [
            {"name": row.name, "size": row.size, "base": f"{row.base:#x}", "state": row.state, "used_by": row.used_by}
            for row in rows
        ]
        print_rows(shown, ("name", "size", "base", "state", "used_by"), as_json=False)


def sym(options: argparse.Namespace) -> None:
    """Look up a kernel symbol by name or by address."""
    with connect(options) as client:
        found = client.sym(options.symbol)
    say_skipped(found)
    if not found.value:
        raise UsageError(f"no symbol covers address {options.symbol}; 'glassbox identify' says what is there")
    if options.json:
        print_rows(found, (), as_json=True)
        return
    for symbol in found:
        place = f"+{symbol.offset:#x}" if symbol.offset else ""
        name = f"{symbol.name}{place}" + (f" [{symbol.module}]" if symbol.module else "")
        print_lines(f"{symbol.address + symbol.offset:#018x} {symbol.symbol_type} {name}")


def format_mapping(mapping: MemoryMapping) -> str:
    """One line in the layout of ``/proc/PID/maps`` (fs/proc/task_mmu.c, show_map_vma)."""
    line = f"{mapping.start:08x}-{mapping.end:08x} {mapping.permissions} {mapping.file_offset:08x} {mapping.device} {mapping.inode} "
    return line.ljust(73) + printable(mapping.path) if mapping.path else line
