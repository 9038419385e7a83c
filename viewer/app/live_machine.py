"""One of the machines of a live picture: its source, its scene, what is asked of viewers, its end and its return."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import wgpu

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.wire.event_records import ViewerEvent

from ..picture.offscreen import load_scene
from ..sources.learned import LearnedWatch
from ..sources.source import Source, name_of
from ..sources.watcher import MemoryWatcher
from ..view.look import Mode

if TYPE_CHECKING:
    from qemu_bridge.client import Client

_BYTES_A_STEP = 4 << 20
_RETRY_S = 1.0


class LiveMachine:
    """Keeps the scene of one machine up to date.

    Attributes:
        name: of the machine, with which its source's title begins.
        source, scene: where its memory is, and what of it is drawn; both are others when it has returned.
    """

    def __init__(self, source: Source, device: wgpu.GPUDevice, call_soon: Callable[[Callable[[], None]], None]) -> None:
        """Load all of `source`; `call_soon` has the thread that draws do something."""
        self.source, self.scene, self.name = source, load_scene(source, device), name_of(source)
        self._call_soon = call_soon
        self._watcher, self._learned = self._watch(), self._watch_learned()
        self._session: int | None = None
        self._told, self._problem = 0, ""
        self._reported: tuple[str, str, int] | None = None
        self._ended, self._is_waiting = threading.Event(), False

    def _watch(self) -> MemoryWatcher:
        return MemoryWatcher(self.source, partial(self._call_soon, _nothing))

    def _watch_learned(self) -> LearnedWatch:
        return LearnedWatch(self.source, partial(self._call_soon, _nothing))

    def start(self, obey: Callable[[LiveMachine, ViewerEvent], None]) -> None:
        """Begin to watch; `obey` does what another program asks of viewers, by the thread that draws."""
        self._obey = obey
        self._watcher.start()
        self._listen()

    def stop(self) -> None:
        """End the threads, those that wait for the daemon soon, and close the source."""
        self._ended.set()
        self._let_go()

    def _let_go(self) -> None:
        self._learned.stop()
        if self._watcher.stop():
            self.source.close()

    # --- memory ----------------------------------------------------------------------------------------------

    @property
    def error(self) -> GlassBoxError | None:
        """Why nothing is seen of it any more; None while it runs."""
        return self._watcher.error

    def follow_memory(self, now_s: float) -> bool:
        """Bring some of what changed into the scene; return whether the picture would be another one."""
        pages, written = self._watcher.take_changes(_BYTES_A_STEP)
        touched = self._watcher.touched(pages)
        self.scene.clear_pages(pages[~touched])
        self.scene.update_pages(self.source.ram.view, pages[touched], written[touched], now_s)
        page_map = self._watcher.take_page_map()
        if page_map is not None:
            self.scene.set_page_map(page_map)
        learned = self._learned.follow(self.scene.look.mode is Mode.LEARNED)
        if learned is not None:
            self.scene.set_learned(learned)
        self.scene.advance(self.source.ram.view, now_s)
        return len(self.scene.take_stale()) > 0

    def wait_for_return(self, take: Callable[[LiveMachine, Source], None]) -> None:
        """It has ended: let `take` have the machine of the same name that runs, once there is one."""
        if self._is_waiting or self.source.reopen is None:
            return
        self._is_waiting, self.scene.is_ended = True, True
        threading.Thread(target=self._wait, args=(self.source.reopen, take), name="viewer-return", daemon=True).start()

    def _wait(self, reopen: Callable[[], Source], take: Callable[[LiveMachine, Source], None]) -> None:
        while not self._ended.wait(_RETRY_S):
            with contextlib.suppress(GlassBoxError, OSError), contextlib.ExitStack() as stack:
                source = reopen()
                stack.callback(source.close)
                source.page_map()
                stack.pop_all()
                self._call_soon(partial(take, self, source))
                return

    def renew(self, source: Source) -> None:
        """Go on with `source`, which looks as the one before did; nothing stands out in it."""
        look, device = self.scene.look, self.scene.device
        self._let_go()
        self.source, self.scene = source, load_scene(source, device)
        self.scene.set_look(look)
        self._watcher, self._learned, self._is_waiting = self._watch(), self._watch_learned(), False
        self._watcher.start()
        self._listen()

    # --- what other programs ask of viewers ------------------------------------------------------------------

    def _listen(self) -> None:
        self._session, self._told, self._problem, self._reported = None, 0, "", None
        if self.source.connect is not None:
            threading.Thread(target=self._join, args=(self.source.connect,), name="viewer-events", daemon=True).start()

    def _join(self, connect: Callable[[], Client]) -> None:
        with contextlib.suppress(GlassBoxError, OSError), connect() as client:
            session = self._session = client.viewer_join(os.getpid())
            for event in client.events(session, self._ended.is_set):
                if isinstance(event, ViewerEvent) and session in event.sessions:
                    self._call_soon(partial(self._do_told, event))

    def _do_told(self, event: ViewerEvent) -> None:
        self._told, self._problem = event.number, ""
        try:
            self._obey(self, event)
        except GlassBoxError as error:
            self._problem = str(error)
            raise

    def report(self, view: str) -> None:
        """Tell the daemon what is shown, if that is news."""
        shown = (view, self._problem, self._told)
        if self._session is None or self.source.connect is None or self.error or shown == self._reported:
            return
        self._reported = shown
        with contextlib.suppress(GlassBoxError), self.source.connect() as client:
            client.viewer_report(self._session, *shown)


def _nothing() -> None:
    """What is to be done when there is news of memory: it is looked for anyway."""
