"""The kernel's log, as ``dmesg`` prints it (``kernel/printk/printk_ringbuffer.c``, since release 5.10).

The ring buffer is three arrays. A *descriptor* says with its ``state_var`` which message it holds (the upper bits are the
message's number, the two highest the state) and where the text is; an *info* at the same place has time, level and
length; the *data ring* holds blocks of a number and a text. A position is a count of bytes or messages since boot, and its
place in an array what is left of it by the array's size. Text that does not fit before the end of the ring starts again
at its beginning, and a position that is odd means that there is no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import GlassBoxError, GuestError
from ...kernel.budget import Budget
from ...kernel.objects import Object
from .overlay import BuiltOverlay, OverlayContext

MAX_MESSAGES = 1 << 18
_MAX_BITS = 30
_STATE_SHIFT = 62
_COMMITTED, _FINALIZED = 1, 2
_ID_MASK = (1 << _STATE_SHIFT) - 1
_U64 = (1 << 64) - 1
_NO_TEXT = 1
_NSEC = 1_000_000_000
_LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `time` in seconds from boot as ``dmesg`` prints it; `text` may have several lines."""

    sequence: int
    time_ns: int
    time: str
    facility: int
    level: str
    text: str


def read_messages(context: OverlayContext, budget: Budget) -> Iterator[Message]:
    """Yield the messages still in the buffer, oldest first."""
    pointer = context.kernel.address_of("prb")
    ring = _Ring(context.objects.at("printk_ringbuffer", context.objects.unsigned(pointer)))
    for number in range(ring.count):
        budget.spend()
        try:
            message = ring.message(ring.first + number & _ID_MASK)
        except GlassBoxError as error:
            budget.skip_unread("a message", error)
            continue
        if message is not None:
            yield message


class _Ring:
    """The buffer, its arrays and bounds read once."""

    def __init__(self, ring: Object) -> None:
        self._space = ring.space
        self._bits, self._text_bits = ring["desc_ring.count_bits"], ring["text_data_ring.size_bits"]
        if not (0 < self._bits <= _MAX_BITS and 0 < self._text_bits <= _MAX_BITS):
            raise GuestError("the kernel's log is damaged; retry, or pause the machine")
        self._descs, self._infos = ring["desc_ring.descs"], ring["desc_ring.infos"]
        self._text = ring["text_data_ring.data"]
        self.first = ring["desc_ring.tail_id.counter"] & _ID_MASK
        behind = (ring["desc_ring.head_id.counter"] - self.first & _ID_MASK) + 1
        self.count = min(behind, 1 << self._bits, MAX_MESSAGES)
        self._desc_size, self._info_size = self._space.size("prb_desc"), self._space.size("printk_info")

    def message(self, number: int) -> Message | None:
        """The message with that number, None when it is reused or being written."""
        place = number & ((1 << self._bits) - 1)
        desc = self._space.at("prb_desc", self._descs + place * self._desc_size)
        info = self._space.at("printk_info", self._infos + place * self._info_size)
        state = desc["state_var.counter"] & _U64
        if state & _ID_MASK != number or state >> _STATE_SHIFT not in (_COMMITTED, _FINALIZED):
            return None
        text = self._read_text(desc["text_blk_lpos.begin"], desc["text_blk_lpos.next"], info["text_len"])
        seconds, rest = divmod(info["ts_nsec"], _NSEC)
        time = f"{seconds:5d}.{rest // 1000:06d}"
        return Message(info["seq"], info["ts_nsec"], time, info["facility"], _LEVELS[info["level"]], text)

    def _read_text(self, begin: int, following: int, length: int) -> str:
        if begin & _NO_TEXT:
            return ""
        size = 1 << self._text_bits
        wraps = begin >> self._text_bits != following - 1 >> self._text_bits
        start, end = (0 if wraps else begin) & (size - 1), (following - 1 & (size - 1)) + 1
        text_bytes = max(end - start - 8, 0)
        return self._space.read(self._text + start + 8, min(length, text_bytes)).decode("utf-8", "replace")


DMESG = BuiltOverlay("dmesg", "The kernel's log.", ("time", "level", "text"), read_messages, is_never_empty=True)
