"""Packets of Perfetto's protobuf: tracks, slices, instants and counters on a time line that ui.perfetto.dev opens.

Few messages are needed, so they are encoded here (protobuf.dev, encoding; field numbers from Perfetto's ``trace_packet.proto``,
``track_descriptor.proto``, ``track_event.proto``). A file is `packet` after `packet`; the first one says that it is the first.
"""

from __future__ import annotations

import struct

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
"""Types of an event."""
_SEQUENCE = 1
_CLEARED = 1
"""SEQ_INCREMENTAL_STATE_CLEARED, which the first packet of a sequence carries."""

Field = int | float | str | bytes


def varint(value: int) -> bytes:
    """`value`, not negative, 7 bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(**fields: Field) -> bytes:
    """A message; a field is called ``f`` and its number. Integers are varints, floats doubles, text and messages are delimited."""
    out = bytearray()
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        else:
            data = value.encode(errors="replace") if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return bytes(out)


def track(uuid: int, name: str, *, parent: int | None = None, unit: str | None = None, is_first: bool = False) -> bytes:
    """A track that is called `name`, below `parent`; with a `unit` one of counters. `is_first`: of the file's packets."""
    fields: dict[str, Field] = {"f1": uuid, "f2": name}
    if parent is not None:
        fields["f5"] = parent
    if unit is not None:
        fields["f8"] = message(f6=unit)
    flags: dict[str, Field] = {"f13": _CLEARED} if is_first else {}
    return message(f1=message(f10=_SEQUENCE, f60=message(**fields), **flags))


def event(time_ns: int, track: int, kind: int, name: str = "", details: bytes = b"") -> bytes:
    """An event on a track: a slice begins or ends, or an instant. `details` are of `detail`."""
    named: dict[str, Field] = {"f23": name} if name else {}
    return message(f1=message(f8=time_ns, f10=_SEQUENCE, f11=message(f9=kind, f11=track, **named) + details))


def counter(time_ns: int, track: int, value: float) -> bytes:
    """A counter's value from a time on."""
    return message(f1=message(f8=time_ns, f10=_SEQUENCE, f11=message(f9=COUNTER, f11=track, f44=float(value))))


def detail(name: str, value: int | str) -> bytes:
    """A named value that is shown beside a slice."""
    kept: dict[str, Field] = {"f3": value} if isinstance(value, int) else {"f6": value}
    return message(f4=message(f10=name, **kept))
