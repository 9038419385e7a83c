"""Which pages hold code of learned loops, and what became of these: from the machine's overlay ``learned`` (docs/learn.md)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import AddressError, GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PhysicalAddress, RamLayout

from .source import Source

if TYPE_CHECKING:
    from qemu_bridge.client import Client

log = logging.getLogger(__name__)

PERIOD_S = 1.0


class LearnedKind(IntEnum):
    """What a page is; of several loops in one page the highest counts."""

    NONE = 0
    LEARNED = 1
    PROVED = 2
    IN_PLACE = 3
    REFUSED = 4


@dataclass(frozen=True)
class LearnedPages:
    """`kinds` of all pages, `uint8`, and what is said of those that have loops, by page: ``busybox+0x94430 3.1x``."""

    kinds: npt.NDArray[np.uint8]
    words: Mapping[int, str]

    def is_same(self, other: LearnedPages | None) -> bool:
        """Whether `other` says the same."""
        return other is not None and self.words == other.words and np.array_equal(self.kinds, other.kinds)


def learned_pages(rows: tuple[dict[str, Any], ...], layout: RamLayout, page_count: int) -> LearnedPages:
    """The pages of the heads that rows of the overlay are about; those that are not in RAM are left out."""
    kinds = np.zeros(page_count, np.uint8)
    words: dict[int, list[str]] = {}
    for row in rows:
        try:
            page = layout.to_offset(PhysicalAddress(int(row["physical"]))) >> PAGE_SHIFT
        except (AddressError, TypeError):
            continue
        if page < page_count:
            kinds[page] = max(int(kinds[page]), _kind(row))
            words.setdefault(page, []).append(_words(row))
    return LearnedPages(kinds, {page: "; ".join(each) for page, each in words.items()})


def _kind(row: dict[str, Any]) -> LearnedKind:
    kinds = {"refused": LearnedKind.REFUSED, "in place": LearnedKind.IN_PLACE}
    return kinds.get(row["state"], LearnedKind.PROVED if row["proved"] else LearnedKind.LEARNED)


def _words(row: dict[str, Any]) -> str:
    # The state is a colour; a label is short.
    return f"{row['name']} {row['gain']:.1f}x" if row["gain"] else str(row["name"])


def ask_learned(client: Client, source: Source) -> LearnedPages | None:
    """What the machine's daemon says of learned loops; None where it is not known where RAM is."""
    layout = source.ram.layout
    if layout is None:
        return None
    return learned_pages(client.overlay("learned").value.rows, layout, len(source.ram.view) >> PAGE_SHIFT)


class LearnedWatch:
    """Asks a machine once a second for as long as somebody wants to know."""

    def __init__(self, source: Source, wake: Callable[[], None]) -> None:
        """`wake` is called on the thread that asks when there is news."""
        self._source, self._wake = source, wake
        self._found: LearnedPages | None = None
        self._is_new = False
        self._stop: threading.Event | None = None

    def follow(self, is_wanted: bool) -> LearnedPages | None:
        """Ask from now on, or no longer; return what is new since the last call, None for nothing."""
        if not is_wanted:
            self.stop()
        elif self._stop is None and self._source.connect is not None:
            self._stop = threading.Event()
            arguments = (self._source.connect, self._stop)
            threading.Thread(target=self._run, args=arguments, name="viewer-learned", daemon=True).start()
        is_new, self._is_new = self._is_new, False
        return self._found if is_new else None

    def stop(self) -> None:
        """Ask no longer; the thread ends by itself."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _run(self, connect: Callable[[], Client], stop: threading.Event) -> None:
        try:
            with connect() as client:
                while not stop.is_set():
                    found = ask_learned(client, self._source)
                    if found is not None and not found.is_same(self._found):
                        self._found, self._is_new = found, True
                        self._wake()
                    stop.wait(PERIOD_S)
        except GlassBoxError as error:
            # The end of the machine is reported by who watches its memory.
            log.info("learned loops are not looked for any more: %s", error)
