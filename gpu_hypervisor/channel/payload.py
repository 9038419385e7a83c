"""The fields of payloads, little end first, read within bounds and written.

>>> Reader(Writer().u32(7).text("saxpy").content).u32()
7
"""

from __future__ import annotations

import struct

from qemu_bridge.errors import UsageError

from .frames import MOST_PAYLOAD


class PayloadError(UsageError):
    """A payload that ends within a field, says what cannot be, or has more than its fields."""


class Reader:
    """Takes one field after another; `PayloadError` where the payload ends before."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def u8(self) -> int:
        """An unsigned byte."""
        return int.from_bytes(self._take(1))

    def u16(self) -> int:
        """An unsigned number of 16 bits."""
        return int.from_bytes(self._take(2), "little")

    def u32(self) -> int:
        """An unsigned number of 32 bits."""
        return int.from_bytes(self._take(4), "little")

    def u64(self) -> int:
        """An unsigned number of 64 bits."""
        return int.from_bytes(self._take(8), "little")

    def text(self) -> str:
        """UTF-8 after its length in bytes, a u16."""
        try:
            return self._take(self.u16()).decode()
        except UnicodeDecodeError:
            raise PayloadError("a text is no UTF-8") from None

    def rest(self) -> bytes:
        """All that was not taken."""
        return self._take(len(self._content) - self._at)

    def end(self) -> None:
        """`PayloadError` unless all was taken."""
        if left := len(self._content) - self._at:
            raise PayloadError(f"{left} bytes stand behind the last field")

    def _take(self, size: int) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) < size:
            raise PayloadError(f"the payload ends {size - len(taken)} bytes before its fields do")
        self._at += size
        return taken


class Writer:
    """Puts one field after another into `content`; each method returns the writer itself."""

    def __init__(self) -> None:
        self.content = b""

    def u8(self, value: int) -> Writer:
        """An unsigned byte."""
        return self._put(value.to_bytes(1))

    def u16(self, value: int) -> Writer:
        """An unsigned number of 16 bits."""
        return self._put(value.to_bytes(2, "little"))

    def u32(self, value: int) -> Writer:
        """An unsigned number of 32 bits."""
        return self._put(value.to_bytes(4, "little"))

    def u64(self, value: int) -> Writer:
        """An unsigned number of 64 bits; what is more is written as the most."""
        return self._put(min(value, (1 << 64) - 1).to_bytes(8, "little"))

    def f64(self, value: float) -> Writer:
        """A float of 64 bits."""
        return self._put(struct.pack("<d", value))

    def text(self, value: str) -> Writer:
        """UTF-8 after its length; one that would not fit is cut, at a character."""
        room = max(0, MOST_PAYLOAD - len(self.content) - 2)
        encoded = value.encode("utf-8", "replace")[:room]
        # A cut may have left a part of a character.
        encoded = encoded.decode("utf-8", "ignore").encode()
        return self.u16(len(encoded))._put(encoded)

    def _put(self, field: bytes) -> Writer:
        self.content += field
        return self
