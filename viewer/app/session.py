"""The window's dealings with its machine: news of memory, answers to questions, events, and its end and return.

Everything slow is on a thread of its own (`viewer.sources.live`, `viewer.sources.questions`, `viewer.sources.execution`, and two here); what they
bring is taken at the start of a frame, so the desk changes on the thread that draws and on no other.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import wgpu

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire.page_map import PageMap
from qemu_bridge.wire.records import Place

from ..render.scene import Scene
from ..sources.execution import ExecutionWatch
from ..sources.heat import Pages
from ..sources.live import Feed
from ..sources.questions import Questions
from ..sources.source import Source, read_page_map
from ..view.look import Mode
from .cadence import NEW_PAGES
from .desk import Desk
from .schedule import Schedule

if TYPE_CHECKING:
    from ..sources.against import Against

log = logging.getLogger(__name__)

PAGES_PER_FRAME = 1024
RETRY_S = 1.0


def connector(source: Source) -> Callable[[], Any] | None:
    """What makes a client of the source's machine; None where there is no machine."""
    connect: Callable[[], Any] | None = getattr(source, "connect", None)
    return connect


class Session:
    """Keeps a desk up with its source."""

    def __init__(self, desk: Desk, schedule: Schedule, order: int | None, renew: Callable[[], None]) -> None:
        """`order` is that of the voxel grid; `renew` is called when the machine has returned and the scene is another."""
        self._desk, self._schedule, self._order, self._renew = desk, schedule, order, renew
        self._execution: ExecutionWatch | None = None
        self._seen: dict[str, float] = {}
        self._is_reconnecting = False
        schedule.is_much_new = lambda: desk.feed.backlog() >= NEW_PAGES
        self._compare()

    def start(self) -> None:
        """Begin to watch."""
        self._desk.feed.start()
        self._desk.questions.start()
        self._watch_events()

    def stop(self) -> None:
        """End the threads."""
        if self._execution is not None:
            self._execution.stop()
        self.rest()

    def rest(self) -> None:
        """End what watches memory and asks, until `rebuild`."""
        self._desk.feed.stop()
        self._desk.questions.stop()

    def rebuild(self, device: wgpu.GPUDevice, page_map: PageMap) -> None:
        """A new scene, feed and questioner on the desk's source; views and choices stay."""
        desk = self._desk
        look = desk.scene.look
        desk.scene = Scene(device, len(desk.source.ram.view), self._order)
        desk.scene.set_look(look)
        desk.scene.set_executions(None if self._execution is None else self._execution.counts)
        self._compare()
        desk.scene.set_page_map(page_map)
        desk.glow, desk.hover = None, None
        desk.pin = desk.pin if desk.pin is not None and desk.pin < len(desk.source.ram.view) else None
        desk.feed = Feed(desk.source, self._schedule.wake)
        desk.questions = Questions(connector(desk.source), self._schedule.wake)
        desk.feed.start()
        desk.questions.start()

    def _compare(self) -> None:
        # A source may know what it is compared with.
        self._against: Against | None = getattr(self._desk.source, "against", None)
        if self._against is not None:
            self._desk.scene.set_difference(self._against.kinds)

    # --- news and answers --------------------------------------------------------------------------------

    def take_news(self) -> Pages | None:
        """Bring changed memory and the newest page map into the scene; return the pages that look otherwise now.

        None where pages are something else, so that any part of the picture may be another.
        """
        desk = self._desk
        if self._execution is not None and self._execution.problem:
            desk.say(self._execution.problem, is_problem=True)
            self.toggle_execution()
        # Pages first, then the table over them: a page is never shown as something it was before.
        pages, written = desk.feed.take(PAGES_PER_FRAME << PAGE_SHIFT)
        now = time.monotonic()
        touched = desk.feed.touched(pages)
        if self._against is not None:
            desk.scene.update_difference(self._against.update(pages, touched))
        desk.scene.clear_pages(pages[~touched])
        pages, written = pages[touched], written[touched]
        self._schedule.cadence.see(desk.scene.ink.heat.written_s[pages[written]], now)
        desk.scene.update_pages(desk.source.ram.view, pages, written, now)
        page_map = desk.feed.take_page_map()
        is_new_map = page_map is not None and desk.scene.set_page_map(page_map)
        if is_new_map and "Linux" not in desk.source.title and (retitle := getattr(desk.source, "retitle", None)):
            desk.questions.ask("title", lambda _: retitle())
        desk.scene.advance(desk.source.ram.view, now)
        stale = desk.scene.take_stale()
        return None if is_new_map else stale

    def take_answers(self) -> None:
        """Do what answers that came meanwhile were asked for."""
        for topic, take in (("glow", self._take_glow), ("follow", self._take_place), ("status", self._take_status)):
            answer = self._desk.questions.answer(topic)
            if answer is None or self._seen.get(topic) == answer.time_s:
                continue
            self._seen[topic] = answer.time_s
            if answer.error:
                self._desk.say(answer.error, is_problem=True)
            else:
                take(answer.value)

    def _take_glow(self, value: Any) -> None:  # noqa: ANN401  # what the question made
        title, pages, fly = value
        self._desk.show_pages(title, pages, fly=fly)
        if len(pages) == 1:
            self._desk.select(int(pages[0]) << PAGE_SHIFT)

    def _take_place(self, value: Any) -> None:  # noqa: ANN401  # what the question made
        if isinstance(value, Place):
            self._desk.mark("follow")
            self._desk.select(int(value.ram_offset))
            if not self._desk.is_in_sight():
                self._desk.frame()

    def _take_status(self, value: Any) -> None:  # noqa: ANN401  # what the question made
        self._desk.status = dict(value)

    # --- execution ---------------------------------------------------------------------------------------

    def toggle_execution(self) -> None:
        """Have executed blocks counted and show where, or stop that."""
        desk = self._desk
        if self._execution is not None:
            self._execution.stop()
            self._execution = None
            desk.scene.set_executions(None)
            desk.writers = None
            desk.set_look(replace(desk.scene.look, mode=Mode.CLASS))
            return
        connect = connector(desk.source)
        if connect is None:
            desk.say("there is no machine that could execute anything; open a running one", is_problem=True)
            return
        self._execution = ExecutionWatch(connect, desk.scene.page_count, self._schedule.wake)
        watch = self._execution
        watch.start()
        desk.writers = lambda offset: watch.writers(desk.questions, offset)
        desk.scene.set_executions(self._execution.counts)
        desk.set_look(replace(desk.scene.look, mode=Mode.EXECUTION))
        desk.say("what executes is counted; the guest runs slower meanwhile")

    # --- events, end and return --------------------------------------------------------------------------

    def _watch_events(self) -> None:
        connect = connector(self._desk.source)
        if connect is not None:
            threading.Thread(target=self._relay_events, args=(connect,), name="viewer-events", daemon=True).start()

    def _relay_events(self, connect: Callable[[], Any]) -> None:
        # The machine's runstate, as it changes. Its end is the feed's to tell.
        with contextlib.suppress(GlassBoxError, OSError):
            for event in connect().events():
                if self._schedule.is_closed:
                    return
                if event.get("event") == "runstate":
                    self._desk.status = {**self._desk.status, "runstate": str(event.get("runstate", ""))}
                elif event.get("event") != "exited":
                    continue
                else:
                    self._desk.status = {}
                self._schedule.call_soon(self._follow_runstate)

    def _follow_runstate(self) -> None:
        # The memory of a guest that stands still need not be watched.
        self._schedule.cadence.hurry()
        self._schedule.show_news()
        self._desk.feed.set_still(self._desk.status.get("runstate") == "paused")

    def look_after(self) -> None:
        """Where the machine has gone, say so and wait on a thread for its return."""
        desk = self._desk
        if desk.feed.error is None or self._is_reconnecting or not hasattr(desk.source, "reopen"):
            return
        self._is_reconnecting = True
        desk.say(f"{desk.feed.error}; waiting for it to return", is_problem=True)
        threading.Thread(target=self._reconnect, name="viewer-reconnect", daemon=True).start()

    def _reconnect(self) -> None:
        while not self._schedule.is_closed:
            time.sleep(RETRY_S)
            try:
                source = self._desk.source.reopen()  # type: ignore[attr-defined]
                page_map = read_page_map(source)
            except (GlassBoxError, OSError):
                continue
            self._schedule.call_soon(partial(self._replace_source, source, page_map))
            return

    def _replace_source(self, source: Source, page_map: PageMap) -> None:
        if self._schedule.is_closed:
            return
        self._is_reconnecting = False
        self.rest()
        desk = self._desk
        desk.source = source

        def build() -> None:
            self.rebuild(desk.scene.device, page_map)
            self._renew()
            desk.say(f"{desk.name} is back")

        desk.attempt(build)
        self._watch_events()
