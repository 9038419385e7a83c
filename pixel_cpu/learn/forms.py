"""Forms of instructions: which kinds of instructions a trace executed, how often, and which of them are lifted.

A form is a mnemonic with the kinds and widths of its operands, so that one instruction of each tells of all.

>>> form_of(bytes.fromhex("4801d8")), form_of(bytes.fromhex("65488b042528000000"))
('add r64, r64', 'mov r64, gs:m64')
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qemu_bridge.trace.file.block_table import BlockTable

from ..errors import LiftError
from ..frontends.x86.pcode import decode
from ..frontends.x86.semantics import refusal

if TYPE_CHECKING:
    from qemu_bridge.trace.analysis.mining import Mined

_AT = 0x400000
_LONG_MODE = 64
_HIGH = ("ah", "bh", "ch", "dh")


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of instruction in a trace.

    Attributes:
        text: mnemonic and kinds of operands.
        code: bytes of an instruction of this form, the most executed one.
        executed: how often instructions of this form ran.
        refused: why it is not lifted; empty where it is.
    """

    text: str
    code: bytes
    executed: int
    refused: str


@cache
def _decoder() -> Any:  # noqa: ANN401  # Capstone has no types
    import capstone  # takes long, and few need it

    found = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    found.detail = True
    return found


def form_of(code: bytes) -> str:
    """The form of one instruction in 64-bit mode; empty if it is none."""
    from capstone import x86

    instruction = next(_decoder().disasm(code, _AT), None)
    if instruction is None:
        return ""
    words = []
    for operand in instruction.operands:
        if operand.type == x86.X86_OP_REG:
            name = instruction.reg_name(operand.reg)
            kind = name.rstrip("0123456789") if name[1:3] == "mm" or name[:2] == "st" else f"r{8 * operand.size}"
            words.append(kind + ("h" if name in _HIGH else ""))
        elif operand.type == x86.X86_OP_IMM:
            words.append("imm")
        else:
            segment = instruction.reg_name(operand.mem.segment) if operand.mem.segment else ""
            base = instruction.reg_name(operand.mem.base) if operand.mem.base else ""
            prefix = f"{segment}:" if segment in ("fs", "gs") else ""
            words.append(f"{prefix}{'rip:' if base == 'rip' else ''}m{8 * operand.size}")
    return f"{instruction.mnemonic} {', '.join(words)}".rstrip()


def why_refused(code: bytes, address: int = _AT) -> str:
    """Why an instruction is not lifted; empty where it is."""
    try:
        return refusal(decode(address, code)) or ""
    except LiftError as error:
        return error.text


def count_forms(found: Mined) -> list[Form]:
    """The forms that a trace executed in 64-bit mode, the most executed first.

    An instruction counts as often as its block began. Raises `UsageError` where pypcode is not installed.
    """
    codes = Counter[bytes]()
    executed = dict(found.sql.execute("SELECT id, sum(executions)::UBIGINT FROM blocks GROUP BY id").fetchall())
    known = found.known(list(executed))
    for block_id, (table, number) in known.items():
        if int(table.modes[number]) == _LONG_MODE:
            for code in instructions_of(table, number):
                codes[code] += executed[block_id]
    return forms_of(codes)


def instructions_of(table: BlockTable, number: int) -> list[bytes]:
    """The bytes of each instruction of a block."""
    code, edges = table.code(number), np.cumsum(table.lengths(number), dtype=np.int64).tolist()
    return [code[start:end] for start, end in zip([0, *edges], edges, strict=False)]


def forms_of(codes: Counter[bytes]) -> list[Form]:
    """The forms of instructions by how often they ran, the most executed first."""
    total, example = Counter[str](), dict[str, bytes]()
    for code, count in codes.most_common():
        text = form_of(code)
        total[text] += count
        example.setdefault(text, code)
    return [Form(text, example[text], count, why_refused(example[text])) for text, count in total.most_common()]
