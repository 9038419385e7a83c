"""What registers and temporaries hold while a loop is lifted: a value of the IR for each cell, and reads and writes of any part of it.

Values of up to eight bytes are one value of an unsigned type or a `bool`; wider ones are lists of eight bytes each, the lowest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...ir.model import Value
from ...ir.types import Type
from .emitter import Emitter
from .pcode import Varnode
from .registers import Cell, cells_of

UNSIGNED = {1: Type.U8, 2: Type.U16, 4: Type.U32, 8: Type.U64}
"""The type of a value by its bytes."""


class State:
    """The values of cells at one place of the program.

    The lowest bytes of a cell may have been written alone: they are kept beside the rest, because most often the next operation
    reads just them, or writes all of it.
    """

    def __init__(self, emit: Emitter, values: Mapping[Cell, Value] | None = None) -> None:
        self._emit = emit
        self._values = dict(values or {})
        self._low: dict[Cell, Value] = {}

    def copy(self) -> State:
        """The same values, to be changed apart."""
        made = State(self._emit, self._values)
        made._low = dict(self._low)
        return made

    def get(self, cell: Cell) -> Value:
        """The whole cell; what was never written is 0, as only temporaries' unused bytes are."""
        value = self._values.get(cell) or self._emit.const(cell.type, 0)
        low = self._low.pop(cell, None)
        if low is not None:
            kept = self._emit.op("and", value, self._emit.const(Type.U64, -1 << low.type.bits))
            value = self._emit.op("or", kept, self._emit.convert(low, Type.U64))
        self._values[cell] = value
        return value

    def set(self, cell: Cell, value: Value) -> None:
        """Write the whole cell."""
        self._low.pop(cell, None)
        self._values[cell] = self._emit.convert(value, cell.type)

    def read(self, varnode: Varnode) -> list[Value]:
        """The value of a register or temporary, in parts of eight bytes; the last one may be smaller."""
        whole = [self._part(cell, first, size) for cell, first, size in cells_of(varnode)]
        if len(whole) > 1 and varnode.offset % 8:
            raise AssertionError("a wide value lies across cells")
        return whole

    def _part(self, cell: Cell, first: int, size: int) -> Value:
        if cell.is_flag:
            return self.get(cell)
        kind, low = UNSIGNED[size], self._low.get(cell)
        if low is not None and not first and size <= low.type.bytes:
            return low if low.type is Type.BOOL and size == 1 else self._emit.convert(low, kind)
        value = self.get(cell)
        if first:
            value = self._emit.op("shr", value, self._emit.const(Type.U64, 8 * first))
        return self._emit.convert(value, kind)

    def write(self, varnode: Varnode, parts: Iterable[Value]) -> None:
        """Set a register or temporary, of parts as `read` gives them."""
        for (cell, first, size), value in zip(cells_of(varnode), parts, strict=True):
            if cell.is_flag or size == 8:
                self.set(cell, value)
            elif not first:
                low = self._low.get(cell)
                if low is not None and low.type.bytes > size:
                    self.get(cell)
                self._low[cell] = value
            else:
                mask = ((1 << 8 * size) - 1) << 8 * first
                kept = self._emit.op("and", self.get(cell), self._emit.const(Type.U64, ~mask))
                new = self._emit.convert(value, Type.U64)
                shifted = self._emit.op("shl", new, self._emit.const(Type.U64, 8 * first))
                self.set(cell, self._emit.op("or", kept, shifted))
