"""What ``glassbox trace NAME`` records: its flags, and the window that they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..memory.addresses import parse_size
from .options import add_json, add_name

if TYPE_CHECKING:
    from ..client import Client
    from ..trace.recording.control import ArmOptions

_LARGEST_CHUNK, _FEWEST_CHUNKS = 256 << 10, 4
"""A ring has chunks of this size, or fewer and smaller ones."""


def add_record(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``trace record`` to its parser."""
    add_name(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the trace")
    parser.add_argument(
        "--start-at", metavar="PLACE[:N]", help="begin when this is executed, for the Nth time: sym:NAME or an address"
    )
    parser.add_argument("--after", type=int, metavar="M", help="begin when a vCPU has executed so many instructions")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after this time")
    parser.add_argument("--insns", type=int, metavar="N", help="end after so many instructions")
    parser.add_argument("--until", metavar="PLACE", help="end soon after this was executed: sym:NAME or an address")
    parser.add_argument("--mem", action="store_true", help="record the addresses of loads and stores too")
    parser.add_argument("--values", action="store_true", help="and their values; implies --mem")
    parser.add_argument(
        "--regs", action="append", default=[], metavar="PLACE", help="record the registers when a block begins here"
    )
    parser.add_argument(
        "--pid", type=int, action="append", default=[], metavar="N", help="only while this process's memory is mapped"
    )
    parser.add_argument("--only", choices=("kernel", "user"), help="only code of this privilege")
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        dest="ranges",
        metavar="RANGE",
        help="only blocks that begin in PLACE-PLACE or PLACE+BYTES; may be given again",
    )
    parser.add_argument(
        "--lossy", action="store_true", help="drop and count what the reader is too slow for; never wait"
    )
    parser.add_argument(
        "--ring", type=parse_size, metavar="SIZE", help="of each vCPU's ring, 4K to 64M (default: 4M, of 16 chunks)"
    )
    parser.add_argument("--verify", action="store_true", help="let QEMU count every instruction, for 'trace check'")
    add_json(parser)


def arm_options(client: Client, options: argparse.Namespace) -> ArmOptions:
    """The window that the flags ask for; `UsageError` for what there is not."""
    from tcg_plugin.layout import Feature, Mode, Scope

    from ..trace.recording.control import DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS, ArmOptions

    features = Feature.BLOCKS | Feature.EVENTS
    features |= Feature.MEMORY if options.mem or options.values else Feature(0)
    features |= Feature.VALUES if options.values else Feature(0)
    features |= Feature.REGISTERS if options.regs else Feature(0)
    features |= Feature.VERIFY if options.verify else Feature(0)
    scopes = {"kernel": Scope.KERNEL, "user": Scope.USER, None: Scope.KERNEL | Scope.USER}
    trigger, hits = find_trigger(client, options.start_at)
    if options.start_at and options.after:
        raise UsageError("a window cannot wait for both --start-at and --after; give one of them")
    for flag in ("after", "insns", "seconds"):
        if not 0 <= (getattr(options, flag) or 0) < 1 << 63:  # nan is neither
            raise UsageError(f"--{flag} counts from 0 up to 2**63; give another number")
    chunk_bytes, chunks = split_ring(options.ring) if options.ring else (DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS)
    wanted = ArmOptions(
        features=features,
        mode=Mode.LOSSY if options.lossy else Mode.LOSSLESS,
        scope=scopes[options.only],
        chunk_bytes=chunk_bytes,
        chunks=chunks,
        ranges=tuple(find_range(client, text) for text in options.ranges),
        roots=tuple(_root(client, pid) for pid in options.pid),
        points=tuple(find_address(client, place) for place in options.regs),
        trigger_address=trigger,
        trigger_hits=hits,
        start_instructions=options.after or 0,
        limit_instructions=options.insns or 0,
    )
    wanted.validate()
    return wanted


def split_ring(size_bytes: int) -> tuple[int, int]:
    """Bytes and number of the chunks of a ring of `size_bytes`.

    >>> split_ring(4096), split_ring(64 << 20)
    ((1024, 4), (262144, 256))
    """
    if not 4 << 10 <= size_bytes <= 64 << 20:
        raise UsageError(f"a ring of {size_bytes} bytes cannot be had; give --ring a size from 4K to 64M")
    chunk_bytes = min(_LARGEST_CHUNK, size_bytes // _FEWEST_CHUNKS) // 64 * 64
    return chunk_bytes, size_bytes // chunk_bytes


def find_address(client: Client, place: str) -> int:
    """The address that ``sym:NAME``, a name or a number stands for; `UsageError` if there is none."""
    name = place.removeprefix("sym:")
    if name[:1].isdigit():
        try:
            address = int(name, 0)
        except ValueError:
            raise UsageError(f"{place!r} is no address; write it as 0xffffffff81000000 or sym:NAME") from None
        if address >> 64:
            raise UsageError(f"{place!r} is no address; it has more than 64 bits: write fewer digits")
        return address
    found = client.sym(name)
    if not found:
        raise UsageError(f"the kernel has no symbol {name!r}; 'glassbox sym' lists them")
    return int(found[0].address)


def find_trigger(client: Client, text: str | None) -> tuple[int, int]:
    """Address and number of times of ``PLACE`` or ``PLACE:N``; (0, 0) for None."""
    if not text:
        return 0, 0
    place, _, times = text.rpartition(":")
    if not place or not times.isdecimal() or place == "sym":
        place, times = text, "1"
    if not 1 <= int(times) < 1 << 32:
        raise UsageError(f"{text!r} counts from 1; write PLACE:N with a larger N")
    return find_address(client, place), int(times)


def find_range(client: Client, text: str) -> tuple[int, int]:
    """The half-open range that ``PLACE-PLACE`` or ``PLACE+BYTES`` stands for."""
    first, dash, last = text.partition("-")
    if dash:
        start, end = find_address(client, first), find_address(client, last)
    else:
        first, plus, length = text.partition("+")
        if not plus:
            raise UsageError(f"{text!r} is no range; write sym:NAME+BYTES or PLACE-PLACE")
        start = find_address(client, first)
        try:
            end = start + int(length, 0)
        except ValueError:
            raise UsageError(f"{length!r} is no number of bytes; write it as 64 or 0x40") from None
    if not start < end <= 1 << 64:
        raise UsageError(f"the range {text!r} holds nothing; write the lower address first")
    return start, min(end, (1 << 64) - 1)


def _root(client: Client, pid: int) -> int:
    for process in client.ps():
        if process.pid == pid:
            if process.page_table is None:
                raise UsageError(f"process {pid} is a kernel thread and has no memory of its own; give another one")
            return process.page_table
    raise UsageError(f"there is no process {pid}; 'glassbox ps' lists them")
