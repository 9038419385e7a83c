"""A program with known calls, and names for it."""

from __future__ import annotations

from trace_producer import record

from qemu_bridge.trace.analysis.naming import Naming

BASE = 0xFFFFFFFF81000000
MAIN, INNER, LEAF, HANDLER, THUNK = BASE, BASE + 0x100, BASE + 0x200, BASE + 0x300, BASE + 0x400
NAMES = {MAIN: "main", INNER: "inner", LEAF: "leaf", HANDLER: "handler", THUNK: "thunk"}


def call(at, target):
    return b"\xe8" + (target - at - 5).to_bytes(4, "little", signed=True)


class Calls:
    """main calls inner, which calls leaf; a handler interrupts; a retpoline jumps to leaf."""

    records = b"".join(
        record(number, address, code, lengths)
        for number, address, code, lengths in (
            (1, MAIN, b"\x90" + call(MAIN + 1, INNER), [1, 5]),
            (2, MAIN + 6, b"\x90\xeb\xf7", [1, 2]),
            (3, INNER, call(INNER, LEAF), [5]),
            (4, INNER + 5, b"\xc3", [1]),
            (5, LEAF, b"\x90\x90\x90\xc3", [1, 1, 1, 1]),
            (6, HANDLER, b"\x90\x48\xcf", [1, 2]),
            (7, MAIN + 0x20, call(MAIN + 0x20, THUNK), [5]),
            (8, THUNK, call(THUNK, THUNK + 7), [5]),
            (9, THUNK + 7, b"\x90\xc3", [1, 1]),
            (10, MAIN + 0x25, b"\x90\xeb\xd8", [1, 2]),
        )
    )


def named(address):
    return NAMES.get(address & ~0xFF, "") + (f"+{address & 0xFF:#x}" if address & 0xFF else "")


NAMING = Naming(named, lambda root: f"{root:#x} sh")
