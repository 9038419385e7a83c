"""The syntax of targets: one line that names a part of guest memory, the same for every front end.

::

    target  = cut { ("+" | "-") cut }          union, difference; from left to right
    cut     = term { "&" term }                intersection; binds tighter
    term    = "(" target ")" | "all" | "free" | "kernel" [ "." PART ]
            | "pid:" NUMBER [ "/" PART ] | "comm:" NAME [ "/" PART ]
            | ( "file:" | "slab:" | "module:" | "sym:" | "class:" ) NAME
            | "pa:" ADDRESS [ "+" SIZE ] | "va:" ADDRESS [ "+" SIZE ] [ "@pid:" NUMBER ]

>>> parse_target("pid:1/heap + kernel.text & class:page-table")
Combined(operator='+', left=Named(kind='pid', name='1', part='heap', column=5), right=Combined(operator='&', ...))
>>> format_target(parse_target("( pid:1 ) + pa:4096"))
'pid:1 + pa:0x1000'

A NAME may stand in single or double quotes, where a backslash takes the next character as it is, or writes one as
``\\n``, ``\\t``, ``\\xHH``, ``\\uHHHH`` or ``\\UHHHHHHHH``. Without quotes it goes up to a blank or a parenthesis, and an
operator inside it counts as one only where another target, or a parenthesis, follows at once: ``file:/lib/libstdc++.so``
and ``class:page-table`` are single names, ``comm:sh-pid:1`` is a difference. Without quotes ``*`` and ``?`` make it a
pattern, which stands for every name that matches it as a whole. Nothing here reads a guest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...host.wildcards import wildcard_expression
from ...wire.records import PageClass

MAX_LENGTH = 4096
MAX_TERMS = 256
MAX_DEPTH = 64

KERNEL_PARTS = (
    *("text", "rodata", "data", "bss", "init", "percpu", "stack", "memmap"),
    *("pagetables", "slab", "vmalloc", "modules", "pages"),
)
PROCESS_PARTS = ("heap", "stack", "text", "anonymous", "file", "pagetables", "kernelstack")
CLASSES = {page_class.word: page_class for page_class in PageClass}
NAME_KINDS = ("comm", "file", "slab", "module", "sym", "class")
KINDS = ("pid", *NAME_KINDS, "pa", "va")
WORDS = ("kernel", "free", "all")

BLANKS = " \t\r\n"
QUOTES = "'\""
OPERATORS = "+-&"
HEAD = re.compile(rf"kernel\b|(?:{'|'.join(KINDS)}):|\(")
SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


@dataclass(frozen=True, slots=True)
class Named:
    """Memory that has a name: `kind` is one of `KINDS` or `WORDS`, `part` a part of a process; `column` is that of the name.

    With `is_pattern` the name has wildcards (`qemu_bridge.host.wildcards`) and stands for all that match.
    """

    kind: str
    name: str = ""
    part: str = ""
    column: int = field(default=1, compare=False)
    is_pattern: bool = False

    def matches(self, name: str) -> bool:
        """Whether `name` is meant."""
        if not self.is_pattern:
            return name == self.name
        return re.fullmatch(wildcard_expression(self.name), name, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Span:
    """`size` bytes at address `start`, physical or virtual; without a size the page that `start` is in.

    A virtual address is one of process `pid`, or the kernel's when that is None; `pid_column` is that of the pid.
    """

    start: int
    size: int | None = None
    is_virtual: bool = False
    pid: int | None = None
    column: int = field(default=1, compare=False)
    pid_column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Combined:
    """Two targets joined (``+``), cut (``&``) or one without the other (``-``)."""

    operator: str
    left: Target
    right: Target


Target = Named | Span | Combined


@dataclass(frozen=True, slots=True)
class SymbolPlace:
    """The byte `offset` past kernel symbol `name`."""

    name: str
    offset: int = 0
