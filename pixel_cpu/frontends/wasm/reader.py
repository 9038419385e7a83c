"""Reading a WebAssembly file: numbers, names and vectors, each checked before it is used; errors know the byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...errors import WasmError

T = TypeVar("T")


class Reader:
    """A stretch of a file. `base` is where it begins; running over its end is an error and not an exception of Python's."""

    def __init__(self, data: bytes, base: int = 0) -> None:
        self.data, self.base, self.place = data, base, 0

    @property
    def offset(self) -> int:
        """The next byte's place in the file."""
        return self.base + self.place

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self.data) - self.place

    def malformed(self, rule: str, offset: int | None = None) -> WasmError:
        """An error about a byte, the next one unless it is stated."""
        return WasmError(rule, self.offset if offset is None else offset)

    def byte(self) -> int:
        """The next byte."""
        if self.place >= len(self.data):
            raise self.malformed("unexpected end")
        found = self.data[self.place]
        self.place += 1
        return found

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise self.malformed("unexpected end: length out of bounds")
        self.place += count
        return self.data[self.place - count : self.place]

    def u32(self) -> int:
        """An unsigned number in LEB128."""
        if self.place < len(self.data) and (found := self.data[self.place]) < 0x80:
            self.place += 1
            return found
        return self._leb(32, signed=False)

    def signed(self, bits: int) -> int:
        """A signed number of 32, 33 or 64 bits in LEB128."""
        return self._leb(bits, signed=True)

    def _leb(self, bits: int, *, signed: bool) -> int:
        begin, found, shift = self.offset, 0, 0
        while True:
            byte = self.byte()
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                raise self.malformed("integer representation too long", begin)
        if signed and byte & 0x40:
            found -= 1 << shift
        if not (-(1 << (bits - 1)) <= found < 1 << (bits - 1) if signed else found < 1 << bits):
            raise self.malformed("integer too large", begin)
        return found

    def count(self) -> int:
        """The length of a vector; each of its items has a byte at least, so that a length is no more than what is left."""
        begin = self.offset
        found = self.u32()
        if found > self.left:
            raise self.malformed("length out of bounds", begin)
        return found

    def vector(self, item: Callable[[], T]) -> list[T]:
        """A vector of what `item` reads."""
        return [item() for _ in range(self.count())]

    def name(self) -> str:
        """A name in UTF-8."""
        begin = self.offset
        try:
            return self.take(self.count()).decode()
        except UnicodeDecodeError:
            raise self.malformed("malformed UTF-8 encoding", begin) from None

    def part(self, size: int) -> Reader:
        """A reader of the next `size` bytes, which are read here."""
        begin = self.offset
        return Reader(self.take(size), begin)

    def at_end(self, rule: str) -> None:
        """Raise an error with `rule` where something is left."""
        if self.left:
            raise self.malformed(rule)
