"""LEB128: numbers of any size in seven bits a byte (DWARF 4, 7.6)."""

from __future__ import annotations


def uleb(number: int) -> bytes:
    """An unsigned number."""
    found = bytearray()
    while number >> 7:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def sleb(number: int) -> bytes:
    """A signed number."""
    found = bytearray()
    while not -64 <= number < 64:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number & 0x7F)
    return bytes(found)
