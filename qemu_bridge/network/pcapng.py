"""Captures of frames in the format pcapng (draft-ietf-opsawg-pcapng), which Wireshark and tshark open.

One interface for each machine, named after it; a frame is listed at its sender's, with the time in nanoseconds at which the
switch had it, and with the processes at both ends as a comment where they are known.
"""

from __future__ import annotations

import struct

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_END = b"\0\0\0\0"
_ETHERNET = 1
_INBOUND = 1
_COMMENT, _NAME, _DESCRIPTION, _FLAGS, _RESOLUTION = 1, 2, 3, 2, 9
_RECEIVED, _DROPPED = 4, 5


def section(application: str) -> bytes:
    """The block that a capture begins with."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(4, application.encode()) + _END
    return _block(_SECTION, body)


def interface(name: str, description: str) -> bytes:
    """The block that gives the next interface number, from 0 on, to a machine."""
    options = (
        _option(_NAME, name.encode()) + _option(_DESCRIPTION, description.encode()) + _option(_RESOLUTION, b"\x09")
    )
    return _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + options + _END)


def packet(number: int, time_ns: int, frame: bytes, comment: str = "") -> bytes:
    """The block of a frame that came from interface `number` at `time_ns` since 1970."""
    size = len(frame)
    options = _option(_FLAGS, _INBOUND.to_bytes(4, "little"))
    if comment:
        options += _option(_COMMENT, comment.encode())
    head = struct.pack("<IIIII", number, time_ns >> 32, time_ns & 0xFFFFFFFF, size, size)
    return _block(_PACKET, head + frame + bytes(-size % 4) + options + _END)


def statistics(number: int, time_ns: int, received: int, dropped: int) -> bytes:
    """The block that says how many frames of an interface there were, and how many of them the capture lacks."""
    options = _option(_RECEIVED, received.to_bytes(8, "little")) + _option(_DROPPED, dropped.to_bytes(8, "little"))
    return _block(_STATISTICS, struct.pack("<III", number, time_ns >> 32, time_ns & 0xFFFFFFFF) + options + _END)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)
