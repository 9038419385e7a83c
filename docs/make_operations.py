"""Generates the table of operations in docs/kernels.md from `pixel_cpu.ir.operations`.

``python docs/make_operations.py docs/kernels.md`` updates the file; ``--check`` only reports whether it is current.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pixel_cpu.ir.operations import OPERATIONS, Operation
from pixel_cpu.ir.types import FLOATS, INDEXES, INTEGERS, NUMBERS, SIGNED, Type

_PART = re.compile(r"(<!-- operations: generated -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS = {
    (): "",
    FLOATS: "floats",
    SIGNED: "signed integers",
    INTEGERS: "integers",
    NUMBERS: "numbers",
    INDEXES: "`i32` `u32` `i64` `u64`",
    SIGNED + FLOATS: "signed integers, floats",
}
_EFFECTS = {
    "value": "Values",
    "id": "Numbers of lanes and groups",
    "memory": "Memory",
    "control": "Control flow and effects",
}


def table() -> str:
    """A table for each effect, a row for each operation."""
    parts = []
    for effect, title in _EFFECTS.items():
        lines = [f"**{title}**\n", "| operation | signature | T is | meaning |", "|---|---|---|---|"]
        lines += [_row(row) for row in OPERATIONS.values() if row.effect == effect]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _row(row: Operation) -> str:
    plain = tuple(kind for kind in row.over if kind is not Type.BOOL)
    over = _KINDS.get(plain) or (_KINDS[INDEXES] if set(plain) == set(INDEXES) else " ".join(map(repr, plain)))
    if Type.BOOL in row.over:
        over += ", `bool`" if over else "`bool`"
    cells = (f"`{row.name}`", f"`{row.signature}`", over, row.meaning + _error(row))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _error(row: Operation) -> str:
    """The error of float results, where there is one."""
    wgsl = [_ulps(row.wgsl_ulp)] if row.wgsl_ulp else []
    wgsl += [f"{row.wgsl_absolute:.2g} absolute"] if row.wgsl_absolute else []
    found = [f"C {_ulps(row.c_ulp)}"] if row.c_ulp else []
    found += [f"WGSL {' or '.join(wgsl)}"] if wgsl else []
    return f" Error of floats: {', '.join(found)}." if found else ""


def _ulps(number: float) -> str:
    return "unbounded" if math.isinf(number) else f"{number:g} ulp"


def bring_up_to_date(text: str) -> str:
    """`text` with its generated part replaced."""
    return _PART.sub(lambda part: f"{part[1]}\n{table()}\n{part[2]}", text)


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; exit status 1 if ``--check`` finds the file out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if it is out of date")
    options = parser.parse_args(words)
    old = options.file.read_text()
    new = bring_up_to_date(old)
    if options.check:
        return int(old != new)
    options.file.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
