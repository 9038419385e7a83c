"""Timelines of launches as files of Perfetto: open them at ui.perfetto.dev.

>>> with px.Device("cpu", timeline=True) as device:
...     outcome = kernel.launch(n, a=2.0, x=x, y=y, device=device)
>>> write_timeline(Path("saxpy.pftrace"), [outcome])

A track shows the launches of a back end; below it are its threads or queues, and what lanes did as counters: how many of them were at
work (utilisation), and how many branches sent lanes of one group different ways (divergent branches), each since the sample before.
Traps and printed lines are instants at the end of the span that ran their lane. Time begins with the first span.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qemu_bridge.errors import HostError
from qemu_bridge.host.plain_file import write_atomic
from qemu_bridge.trace.export.perfetto_packets import BEGIN, END, INSTANT, counter, detail, event, track

from ..backends.launch import Outcome, Sample, Span, Timeline


class Clock:
    """Spans of what a program does around its launches.

    >>> with clock.span("read"):
    ...     x = np.load("x.npy")
    """

    def __init__(self, track: str = "program") -> None:
        self.track = track
        self.spans: list[Span] = []

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Keep a span from here to the end of the block, whatever ends it."""
        begin_ns = time.monotonic_ns()
        try:
            yield
        finally:
            self.spans.append(Span(self.track, name, begin_ns, time.monotonic_ns()))


def write_timeline(path: Path, outcomes: Sequence[Outcome], spans: Sequence[Span] = ()) -> None:
    """Write the timelines of launches, and other `spans` beside them, to a file; one that is there is replaced.

    Outcomes without a timeline are left out. Raises `HostError` where the file cannot be written.
    """
    timed = [(outcome, outcome.timeline) for outcome in outcomes if outcome.timeline]
    starts = [span.begin_ns for span in spans]
    starts += [min(found.begin_ns, *(span.begin_ns for span in found.spans)) for _, found in timed]
    writer = _Writer(min(starts, default=0))
    writer.add_spans("", spans)
    for outcome, found in timed:
        writer.add_launch(outcome, found)
    try:
        write_atomic(path, b"".join(writer.packets), 0o666)
    except OSError as error:
        raise HostError(f"{path} cannot be written ({error.strerror or error}); give another name") from None


class _Writer:
    def __init__(self, start_ns: int) -> None:
        self.packets: list[bytes] = []
        self._start_ns = start_ns
        self._tracks: dict[tuple[str, str], int] = {}

    def add_launch(self, outcome: Outcome, found: Timeline) -> None:
        own = self._track("", outcome.backend)
        note = [("lanes that trapped", outcome.traps)] if outcome.traps else []
        note += [("spans left out", found.dropped)] if found.dropped else []
        self._slice(own, found.kernel, found.begin_ns, b"".join(itertools.starmap(detail, note)))
        self.packets.append(event(self._time(found.end_ns), own, END))
        self.add_spans(outcome.backend, found.spans)
        self._add_samples(outcome.backend, found)
        self._add_instants(outcome, found)

    def add_spans(self, parent: str, spans: Iterable[Span]) -> None:
        """Slices on tracks below `parent`; spans of a track nest."""
        by_track: dict[str, list[Span]] = {}
        for span in spans:
            by_track.setdefault(span.track, []).append(span)
        for name in sorted(by_track):
            uuid = self._track(parent, name)
            open_until: list[int] = []
            # Of spans that begin at once the longest is around the others.
            for span in sorted(by_track[name], key=lambda span: (span.begin_ns, -span.end_ns)):
                while open_until and open_until[-1] <= span.begin_ns:
                    self.packets.append(event(self._time(open_until.pop()), uuid, END))
                self._slice(uuid, span.name, span.begin_ns, _details(span))
                open_until.append(span.end_ns)
            while open_until:
                self.packets.append(event(self._time(open_until.pop()), uuid, END))

    def _add_samples(self, parent: str, found: Timeline) -> None:
        for name, unit, share in _COUNTERS:
            values = [(when, 100 * value) for when, value in _shares(found.samples, *share)]
            if not values:
                continue
            uuid = self._track(parent, name, unit)
            # From where the sample before was taken, as it is about what was done since.
            begins = [found.begin_ns, *(when for when, _ in values)]
            for begin_ns, (_, value) in zip(begins, values, strict=False):
                self.packets.append(counter(self._time(begin_ns), uuid, value))
            self.packets.append(counter(self._time(found.end_ns), uuid, 0.0))
        if any(sample.traps for sample in found.samples):
            uuid = self._track(parent, "lanes that trapped", "lanes")
            for sample in found.samples:
                self.packets.append(counter(self._time(sample.time_ns), uuid, sample.traps))

    def _add_instants(self, outcome: Outcome, found: Timeline) -> None:
        told = [(line.lane, f"lane {line.lane}: {line.text}") for line in outcome.printed]
        if outcome.trap:
            where = "" if outcome.trap.line is None else f", line {outcome.trap.line}"
            told.append((outcome.trap.lane, f"trap of lane {outcome.trap.lane}{where}: {outcome.trap.reason}"))
        if not told:
            return
        told.sort()
        # A lane is in one span of those that nest: the shortest that has it is nearest.
        spans = sorted((span for span in found.spans if span.lanes), key=lambda span: (span.lanes, -span.end_ns))
        place, around = 0, []
        for lane, text in told:
            while place < len(spans) and spans[place].lanes[0] <= lane:  # type: ignore[index]
                around.append(spans[place])
                place += 1
            around = [span for span in around if span.lanes and span.lanes[1] > lane]
            if around:
                span = max(around, key=lambda span: span.end_ns)
                uuid = self._track(outcome.backend, span.track)
                self.packets.append(event(self._time(span.end_ns), uuid, INSTANT, text))

    def _slice(self, uuid: int, name: str, begin_ns: int, details: bytes) -> None:
        self.packets.append(event(self._time(begin_ns), uuid, BEGIN, name, details))

    def _track(self, parent: str, name: str, unit: str | None = None) -> int:
        key = parent, name
        if key not in self._tracks:
            above = self._track("", parent) if parent else None
            self._tracks[key] = len(self._tracks) + 1
            uuid = self._tracks[key]
            self.packets.append(track(uuid, name, parent=above, unit=unit, is_first=not self.packets))
        return self._tracks[key]

    def _time(self, time_ns: int) -> int:
        return max(time_ns - self._start_ns, 0)


_COUNTERS = (
    ("utilisation", "%", ("instructions", "slots")),
    ("divergent branches", "%", ("divergent", "branches")),
)
"""Counters of a timeline: name, unit, and which counts are a share of which."""


def _shares(samples: Sequence[Sample], part: str, whole: str) -> Iterator[tuple[int, float]]:
    """The share that one count is of another, between samples, and when the later one was taken."""
    done, total = 0, 0
    for sample in samples:
        now_done, now_total = getattr(sample.counters, part), getattr(sample.counters, whole)
        # Threads read the sums while others add to them, so one may lag behind for a moment.
        if now_total > total and now_done >= done:
            yield sample.time_ns, min((now_done - done) / (now_total - total), 1.0)
            done, total = now_done, now_total


def _details(span: Span) -> bytes:
    found = b""
    if span.lanes:
        found += detail("first lane", span.lanes[0]) + detail("lanes", span.lanes[1] - span.lanes[0])
    if span.processor is not None:
        found += detail("processor", span.processor)
    return found
