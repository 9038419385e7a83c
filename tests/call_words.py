"""Words of system calls, and a program whose blocks make them."""

from __future__ import annotations

from trace_producer import Event, event, record, split64, window_start, window_stop

from tcg_plugin.layout import Gate

ROOT, OTHER_ROOT = 0x4000, 0x6000
END = 0x401002
"""Behind the instruction of every call."""


class Callers:
    """Block 1 makes a call, block 2 returns from it; 3 is ``int $0x80``, 4 is ``iretq``."""

    records = b"".join(
        record(number, address, code, [len(code)], ring=ring)
        for number, address, code, ring in (
            (1, 0x401000, b"\x0f\x05", 3),
            (2, 0xFFFFFFFF81000000, b"\x48\x0f\x07", 0),
            (3, 0x401000, b"\xcd\x80", 3),
            (4, 0xFFFFFFFF81000010, b"\x48\xcf", 0),
        )
    )


def _values(*values):
    return [word for value in values for word in split64(value % 2**64)]


def call(number, *arguments, at, stack=0x7000, gate=Gate.SYSCALL):
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    return [3 if gate is Gate.INT_80 else 1, *event(Event.SYSCALL, *_values(number, *padded, stack, at), small=gate)]


def returns(result, *, at, stack=0x7000, address=END):
    return [2, *event(Event.SYSRET, *_values(result, stack, address, at))]


def iret(result, *, at, stack=0x7000, address=END, begins=False):
    return [4, *event(Event.IRET, *_values(result, stack, address, at), small=begins)]


def text(argument, content, more=False):
    padded = content + bytes(-len(content) % 4)
    words = [int.from_bytes(padded[place : place + 4], "little") for place in range(0, len(padded), 4)]
    return event(Event.TEXT, *words, small=argument | more << 3 | len(content) << 4)


def load(root):
    return event(Event.PAGE_TABLE, *split64(root))


def window(*parts):
    """A chunk that holds a whole window."""
    return [*window_start(root=ROOT), *(word for part in parts for word in part), *window_stop()]
