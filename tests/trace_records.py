"""Dictionaries and lists of events for tests of what walks them, and what an access encoder holds."""

from __future__ import annotations

import numpy as np

from qemu_bridge.trace.file.access_stream import decode_accesses
from qemu_bridge.trace.file.columns import event_offsets
from qemu_bridge.trace.file.records import NONE, EventList, Records, index_records

EMPTY = EventList(*(np.empty(0, np.uint32) for _ in range(3)))


def dictionary(*records):
    blob = np.frombuffer(b"".join(records), np.uint8).copy()
    offset, _, instructions = index_records(blob)
    return Records(blob, offset, instructions)


def events(*items):
    """(position, words) pairs as an `EventList`."""
    at = np.array([position for position, _ in items], np.uint32)
    words = np.array([word for _, each in items for word in each], np.uint32)
    return EventList(at, event_offsets(words), words)


def decode_all(accesses, blocks, limit, following=NONE):
    """What `accesses` holds of a frame whose dictionary numbers blocks by their ids."""
    return decode_accesses(accesses.finish(), np.asarray(blocks, np.uint32), following, limit, accesses.count)
