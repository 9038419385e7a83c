"""What machines of one picture send each other over the networks that they share, while it is news.

A thread reads the flows of those networks (`qemu_bridge.network.watch`) a few times a second. What an end of a flow has sent since the
last time is news for `FADE_S` seconds of the switch's clock, which is that of the host.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.network.place import iter_networks
from qemu_bridge.network.watch import read_flows, read_status
from qemu_bridge.wire.network_records import Flow, FlowEnd, Naming

log = logging.getLogger(__name__)

FADE_S = 4.0
POLL_S = 0.25
_LOOK_S = 2.0
"""How often it is looked for networks that machines have joined."""
_MOST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Arc:
    """What one machine sent another of late.

    Attributes:
        sender, receiver: their names.
        bytes: how much, Ethernet headers included.
        words: processes of which name to which, and how much, the most first.
        strength: 1 just after it was sent, 0 when it is no news any more.
    """

    sender: str
    receiver: str
    bytes: int
    words: tuple[str, ...]
    strength: float


@dataclass(slots=True)
class _Stream:
    """What one end of a flow sent to the other, as far as it is news."""

    sender: FlowEnd
    receiver: FlowEnd
    bytes: int
    last: float


class RecentFlows:
    """What was sent of late between `names`; `add` is told all flows of a network again and again."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._sent: dict[tuple[str, int, int], int] = {}
        self._streams: dict[tuple[str, int, int], _Stream] = {}

    def add(self, network: str, flows: Sequence[Flow], now: float) -> bool:
        """Note what is new in `flows`, at the time `now` in seconds since 1970; return whether anything is."""
        known = {key for key in self._sent if key[0] == network}
        is_first, has_news = not known, False
        for flow in flows:
            ends = flow.source, flow.destination
            if not {end.machine for end in ends} <= self._names or all(end.naming is Naming.KERNEL for end in ends):
                continue
            for side, sender in enumerate(ends):
                key = (network, flow.number, side)
                known.discard(key)
                sent = sender.bytes - self._sent.get(key, 0)
                self._sent[key] = sender.bytes
                # Of what went on before the first look only the newest is news, and how new the rest was nobody knows.
                if sent > 0 and not (is_first and now - flow.last >= FADE_S):
                    self._add(key, sender, ends[1 - side], sent, flow.last)
                    has_news = True
                elif key in self._streams:
                    self._streams[key].sender, self._streams[key].receiver = sender, ends[1 - side]
        for key in known:
            del self._sent[key]  # the switch has forgotten it
        return has_news

    def _add(self, key: tuple[str, int, int], sender: FlowEnd, receiver: FlowEnd, sent: int, last: float) -> None:
        before = self._streams.get(key)
        total = sent + (before.bytes if before is not None and last - before.last < FADE_S else 0)
        self._streams[key] = _Stream(sender, receiver, total, last)

    def arcs(self, now: float) -> list[Arc]:
        """What is news at the time `now`, the strongest last."""
        self._streams = {key: each for key, each in self._streams.items() if now - each.last < FADE_S}
        by_pair: dict[tuple[str, str], list[_Stream]] = {}
        for each in self._streams.values():
            by_pair.setdefault((each.sender.machine, each.receiver.machine), []).append(each)
        found = [_arc(*pair, streams, now) for pair, streams in by_pair.items() if pair[0] != pair[1]]
        return sorted(found, key=lambda arc: arc.strength)


def _arc(sender: str, receiver: str, streams: list[_Stream], now: float) -> Arc:
    by_process: dict[tuple[str, str], list[_Stream]] = {}
    for each in streams:
        by_process.setdefault((_who(each.sender), _who(each.receiver)), []).append(each)
    sizes = {pair: sum(each.bytes for each in alike) for pair, alike in by_process.items()}
    lines = sorted(sizes.items(), key=lambda item: -item[1])
    words = [f"{' → '.join(pair)}: {_size_words(size)}" for pair, size in lines[:_MOST_WORDS]]
    if len(lines) > _MOST_WORDS:
        words.append(f"and {len(lines) - _MOST_WORDS} more")
    age = max(now - max(each.last for each in streams), 0.0)
    return Arc(sender, receiver, sum(sizes.values()), tuple(words), max(1 - age / FADE_S, 0.0))


def _size_words(size: int) -> str:
    if size < 1 << 10:
        return f"{size} B"
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / (1 << 10):.1f} KiB"


def _who(end: FlowEnd) -> str:
    return end.process or {Naming.KERNEL: "kernel", Naming.PENDING: "…"}.get(end.naming, "?")


class FlowWatch:
    """Follows the networks that at least two of the machines `names` are on."""

    def __init__(self, names: Sequence[str], wake: Callable[[], None]) -> None:
        """`wake` is called, on the watching thread, whenever there is news."""
        self._names, self._wake = frozenset(names), wake
        self._recent, self._lock = RecentFlows(names), threading.Lock()
        self._networks: list[str] = []
        self._looked_s = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="viewer-flows", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def arcs(self) -> list[Arc]:
        """What is news now, the strongest last."""
        with self._lock:
            return self._recent.arcs(time.time())

    def look(self) -> bool:
        """Read the flows once; return whether there is news."""
        if time.monotonic() >= self._looked_s + _LOOK_S:
            self._looked_s, self._networks = time.monotonic(), [each for each in iter_networks() if self._has_two(each)]
        has_news = False
        for network in self._networks:
            try:
                flows = read_flows(network).flows
            except (GlassBoxError, OSError):
                continue  # it ended
            with self._lock:
                has_news |= self._recent.add(network, flows, time.time())
        return has_news

    def _has_two(self, network: str) -> bool:
        try:
            return len({port.machine for port in read_status(network).ports} & self._names) > 1
        except (GlassBoxError, OSError):
            return False

    def _run(self) -> None:
        while not self._stop.is_set():
            begun_s = time.monotonic()
            if self.look():
                self._wake()
            # A network with very many flows is not asked more often than it can answer.
            self._stop.wait(max(POLL_S, 5 * (time.monotonic() - begun_s)))
