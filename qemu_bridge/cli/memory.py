"""Verbs that read a machine's RAM in place: peek, find, dirty."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..memory.addresses import PAGE_SIZE, PhysicalAddress, RamOffset, format_address, parse_address, parse_size
from .options import Verbs, add_json, add_name, add_verb, connect, print_json, print_lines, say

if TYPE_CHECKING:
    from ..client import Client

_ROW = 16
_CONTEXT = 32


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "peek", peek, "glassbox peek demo 0x1000000 64")
    add_name(parser)
    parser.add_argument(
        "place",
        metavar="PLACE",
        help="a physical address (0x1f000, 126976 or 124K), a symbol (+offset), or va:ADDRESS[@pid:N]",
    )
    parser.add_argument(
        "length", metavar="LENGTH", nargs="?", default="256", help="bytes to show (default: %(default)s)"
    )
    parser.add_argument("--raw", action="store_true", help="write the bytes themselves")
    add_json(parser)
    parser = add_verb(verbs, "find", find, "glassbox find demo --regex 'Linux version [0-9.]+'")
    add_name(parser)
    add_pattern(parser, "text to look for in touched pages")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="stop after N places (default: %(default)s)"
    )
    add_json(parser)
    parser = add_verb(verbs, "dirty", dirty, "glassbox dirty demo --since 3")
    add_name(parser)
    parser.add_argument(
        "--since",
        type=int,
        default=0,
        metavar="EPOCH",
        help="the epoch an earlier call named (default: all touched pages)",
    )
    add_json(parser)


def add_pattern(parser: argparse.ArgumentParser, purpose: str) -> None:
    """The positional PATTERN, which `parse_pattern` reads, and its flags."""
    parser.add_argument("pattern", metavar="PATTERN", help=purpose)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--hex", action="store_true", help="PATTERN is bytes in hexadecimal, such as 7f454c46")
    kind.add_argument("--regex", action="store_true", help="PATTERN is a regular expression over bytes")


def peek(options: argparse.Namespace) -> None:
    """Show guest RAM at a physical address, or guest memory at a virtual one or a symbol."""
    length = parse_size(options.length)
    if options.place[:1].isdigit():
        start, space = parse_address(options.place), "physical"
        with connect(options) as client:
            content = client.ram.read(PhysicalAddress(start), length)
    else:
        space = "virtual"
        with connect(options) as client:
            start, content = _read_place(client, options.place, length)
    if options.raw:
        sys.stdout.buffer.write(content)
    elif options.json:
        print_json({space: format_address(start), "length": length, "hex": content.hex()})
    else:
        print_lines("\n".join(hex_dump(start, content)))


def _read_place(client: Client, text: str, length: int) -> tuple[int, bytes]:
    """(address, bytes) at a symbol or an address that is written as a place; `UsageError` where they are not all there."""
    from ..introspection.targets.grammar import SymbolPlace
    from ..introspection.targets.parse import parse_place
    from ..wire.operations import MAX_READ_BYTES
    from ..wire.records import MemorySpace

    place = parse_place(text)
    if length > MAX_READ_BYTES:
        raise UsageError(f"{length} bytes are too many at once; read {MAX_READ_BYTES} at a time")
    if isinstance(place, SymbolPlace):
        start, pid, space = client.sym(place.name).value[0].address + place.offset, None, MemorySpace.VIRTUAL
    else:
        start, pid = place.start, place.pid
        space = MemorySpace.VIRTUAL if place.is_virtual else MemorySpace.PHYSICAL
    (content,) = client.read_memory(((start, length),), space, pid).value
    if content is None:
        raise UsageError(f"not all of {length} bytes at {text} are in memory; 'glassbox identify' tells what is there")
    return start, bytes(content)


def find(options: argparse.Namespace) -> int:
    """Find a pattern in guest RAM; exit status 1 when there is no match."""
    pattern = parse_pattern(options)
    if options.limit < 1:
        raise UsageError(f"a limit of {options.limit} finds nothing; give --limit 1 or more")
    with connect(options) as client:
        ram = client.ram
        rows = []
        for offset in ram.find(pattern, options.limit):
            physical = ram.layout.to_physical(offset)
            around = bytes(ram.view[offset : offset + _CONTEXT])
            rows.append({"physical": format_address(physical), "hex": around.hex()})
            if not options.json:
                print_lines(f"{physical:#014x}  {_printable(around)}", at_once=True)
    if options.json:
        print_json(rows)
    if len(rows) == options.limit:
        say(f"stopped after {options.limit} places; give --limit for more")
    return 0 if rows else 1


def dirty(options: argparse.Namespace) -> None:
    """List the pages that changed since an epoch, which is the number that an earlier call gave, and the epoch of now."""
    if options.since < 0:
        raise UsageError("an epoch is 0 or more; give --since the number an earlier call printed")
    with connect(options) as client:
        changed = client.dirty(options.since)
        layout = client.ram.layout
    epoch = changed.epoch
    spans = [(layout.to_physical(RamOffset(first * PAGE_SIZE)), (end - first) * PAGE_SIZE) for first, end in changed]
    if options.json:
        print_json({"epoch": epoch, "ranges": [(format_address(physical), size) for physical, size in spans]})
        return
    for physical, size in spans:
        print_lines(f"{physical:#014x}  {size >> 10} KiB")
    say(f"{sum(size for _, size in spans) >> 10} KiB in {len(spans)} ranges; continue with --since {epoch}")


def hex_dump(start: int, content: bytes) -> Iterator[str]:
    """Yield a line per 16 bytes: address, bytes, text."""
    for offset in range(0, len(content), _ROW):
        row = content[offset : offset + _ROW]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        yield f"{start + offset:#014x}  {left:23}  {right:23}  |{_printable(row)}|"


def _printable(content: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in content)


def parse_pattern(options: argparse.Namespace) -> bytes | re.Pattern[bytes]:
    """The bytes or expression of `add_pattern`; `UsageError` for an invalid one."""
    try:
        if options.hex:
            return bytes.fromhex(options.pattern)
        text: bytes = options.pattern.encode("utf-8", "surrogateescape")
        return re.compile(text, re.DOTALL) if options.regex else text
    except (ValueError, re.error) as error:
        raise UsageError(f"{options.pattern!r} is not a valid pattern ({error}); see 'glassbox find --help'") from None
