"""What may still be read behind a loop: liveness over the code that a trace knows, by static successors.

Code that the trace does not know, a return, and whatever is far away may read every register; flags are most often written again soon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import LiftError
from ..frontends.x86.liveness import Bytes, step
from ..frontends.x86.pcode import Instruction, decode
from ..frontends.x86.registers import CELLS, HIDDEN
from .forms import instructions_of

if TYPE_CHECKING:
    from qemu_bridge.trace.analysis.mining import Mined

MOST_STEPS = 24
"""Instructions that are followed behind an exit."""
_NAMES = tuple(name for name, cell in CELLS.items() if cell not in HIDDEN)


class Successors:
    """The code of a trace by address; `live_at` says which registers may be read from an address on."""

    def __init__(self, found: Mined) -> None:
        self._found = found
        rows = found.sql.execute(
            "SELECT address, any_value(id) FROM known GROUP BY address ORDER BY address"
        ).fetchnumpy()
        self._addresses = np.asarray(rows["address"], np.uint64)
        self._ids = np.asarray(rows[next(name for name in rows if name != "address")], np.uint32)
        self._code: dict[int, Instruction | None] = {}
        self._known = Bytes()
        self._all = self._known.of_cells(CELLS[name] for name in _NAMES)

    def live_at(self, address: int) -> tuple[str, ...]:
        """Names of the registers that may be read behind `address` before they are written."""
        live = self._known.cells(self._live(address, MOST_STEPS))
        return tuple(name for name in _NAMES if CELLS[name] in live)

    def _live(self, address: int, steps: int) -> int:
        instruction = self._instruction(address) if steps else None
        if instruction is None:
            return self._all
        following: set[int] = {instruction.end}
        for op in instruction.ops:
            if op.name in ("BRANCHIND", "CALLIND", "RETURN", "CALLOTHER"):
                return self._all
            if op.name in ("BRANCH", "CBRANCH", "CALL"):
                target = op.inputs[0]
                if target.space == "const" or target.offset == instruction.address:
                    # It branches inside: what it writes may stay as it was.
                    return self._reading(instruction, self._live(instruction.end, steps - 1))
                following = {target.offset} if op.name != "CBRANCH" else {target.offset, instruction.end}
        live = 0
        for each in following:
            live |= self._live(each, steps // len(following) - (len(following) == 1))
        return step(self._known, [(instruction, op) for op in reversed(instruction.ops)], live)

    def _reading(self, instruction: Instruction, live: int) -> int:
        for op in instruction.ops:
            for varnode in op.inputs:
                live |= self._known.of(varnode)
        return live

    def _instruction(self, address: int) -> Instruction | None:
        if address not in self._code:
            self._code[address] = None
            self._add_block(address)
        return self._code[address]

    def _add_block(self, address: int) -> None:
        place = int(np.searchsorted(self._addresses, np.uint64(address))) if address >= 0 else len(self._addresses)
        if place >= len(self._addresses) or int(self._addresses[place]) != address:
            return
        block = int(self._ids[place])
        table, number = self._found.known([block])[block]
        at = address
        for code in instructions_of(table, number):
            try:
                self._code[at] = decode(at, code)
            except LiftError:
                return
            at += len(code)
