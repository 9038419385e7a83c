"""Frames on a byte stream: found again whatever came before, and never longer than a bound.

A frame is a header of 24 bytes and a payload of at most `MOST_PAYLOAD` bytes, little end first::

    u16 version · u16 command · u32 bytes of payload · u64 session · u64 number · payload

It travels as one line of base64. Who opens the port sends an end of line first: whatever a killed process left unfinished there ends
with it, and is one malformed frame.

>>> decoder = Decoder()
>>> list(decoder.feed(b"\\n" + encode_frame(Frame(0x107, 5, 1, b""))))
[Frame(command=263, session=5, number=1, payload=b'', version=1)]
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator
from typing import NamedTuple

VERSION = 1
MOST_PAYLOAD = 4096
REPLY = 0x8000
"""Set in the command of a reply; a reply to what was no frame has this alone, and session and number 0."""
_HEADER = struct.Struct("<HHIQQ")
HEADER_BYTES = _HEADER.size
MOST_LINE = (HEADER_BYTES + MOST_PAYLOAD + 2) // 3 * 4


class Frame(NamedTuple):
    """One message: `session` is chosen by who opened the port, `number` counts its requests; a reply repeats both."""

    command: int
    session: int
    number: int
    payload: bytes
    version: int = VERSION


class Malformed(NamedTuple):
    """A line that is no frame, and why."""

    reason: str


class Decoder:
    """Frames out of a byte stream in pieces of any size; holds at most `MOST_LINE` bytes, and takes time in proportion to its input."""

    def __init__(self) -> None:
        self._part = bytearray()
        self._is_long = False

    def feed(self, data: bytes) -> Iterator[Frame | Malformed]:
        """Yield what ends in `data`, frame by frame."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            if self._is_long:
                yield Malformed(f"a frame has more than {MOST_LINE} bytes")
            elif self._part:
                yield _decode(bytes(self._part))
            self._part.clear()
            self._is_long = False
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        self._is_long = self._is_long or len(self._part) + len(piece) > MOST_LINE
        if self._is_long:
            self._part.clear()
        else:
            self._part += piece


def encode_frame(frame: Frame) -> bytes:
    """The bytes of `frame` on the stream, which end with a line feed; `ValueError` for a payload that is too long."""
    if len(frame.payload) > MOST_PAYLOAD:
        raise ValueError(f"a payload of {len(frame.payload)} bytes is longer than {MOST_PAYLOAD}")
    header = _HEADER.pack(frame.version, frame.command, len(frame.payload), frame.session, frame.number)
    return binascii.b2a_base64(header + frame.payload)


def _decode(line: bytes) -> Frame | Malformed:
    try:
        content = binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error as error:
        return Malformed(f"a frame is no base64 ({error})")
    if len(content) < HEADER_BYTES:
        return Malformed(f"a frame has {len(content)} bytes, which is less than its header")
    version, command, length, session, number = _HEADER.unpack_from(content)
    if length != len(content) - HEADER_BYTES or length > MOST_PAYLOAD:
        return Malformed(f"a frame says that its payload has {length} bytes, and has {len(content) - HEADER_BYTES}")
    return Frame(command, session, number, content[HEADER_BYTES:], version)
