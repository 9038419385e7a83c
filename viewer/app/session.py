"""The window's connection to one of its machines: changed memory, results of queries, events, its end and return.

Everything slow runs on a thread of its own (`viewer.sources.watcher`, `viewer.sources.queries`, `viewer.sources.execution`,
and two here). Their results are applied at the start of a frame, so the state changes on the thread that draws only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import wgpu

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire.event_records import ExitedEvent, RunstateEvent, ViewerEvent
from qemu_bridge.wire.page_map import PageMap
from qemu_bridge.wire.records import Place, Runstate

from ..render.scene import Scene, stand_side_by_side
from ..sources.execution import ExecutionWatch
from ..sources.gpu import GpuWatch
from ..sources.heat import Pages
from ..sources.launches import LaunchWatch
from ..sources.learned import LearnedWatch
from ..sources.queries import Queries, Topic
from ..sources.source import Source, read_page_map
from ..sources.watcher import MemoryWatcher
from ..view.look import Mode
from . import appearance, glow, highlighting, hits, navigation, selection
from .glow import FoundPages
from .refresh_policy import NEW_PAGES
from .remote import TOLD, RemoteControl
from .schedule import Schedule
from .state import RUNSTATE, ShownMachine, ViewerState

if TYPE_CHECKING:
    from qemu_bridge.client import Client

log = logging.getLogger(__name__)

T = TypeVar("T")

PAGES_PER_FRAME = 1024
_TITLE: Topic[str] = Topic("title")
RETRY_S = 1.0


class Session:
    """Keeps one machine of the viewer's state up to date with its source."""

    def __init__(
        self,
        state: ViewerState,
        machine: ShownMachine,
        schedule: Schedule,
        order: int | None,
        renew: Callable[[], None],
    ) -> None:
        """`order` is that of the voxel grid; `renew` is called when the machine has returned and the scene is another."""
        self._state, self._schedule, self._order, self._renew = state, schedule, order, renew
        self._machine = machine
        self._execution: ExecutionWatch | None = None
        self._learned = LearnedWatch(machine.source, schedule.wake)
        # Launches are the host's: one session lists them.
        is_first = machine is state.machines[0]
        self._launches = LaunchWatch(state.launches, self._show_launches) if is_first else None
        self._gpu = GpuWatch(self._show_launches) if is_first else None
        if self._gpu is not None:
            state.gpu = self._gpu
        self._seen: dict[str, float] = {}
        self._is_reconnecting = self._is_stopped = False
        self._remote = RemoteControl(state, machine, self._apply_highlight)
        schedule.has_many_changes = lambda: state.backlog >= NEW_PAGES
        self._attach_comparison()

    def start(self) -> None:
        """Begin to watch."""
        self._machine.watcher.start()
        self._machine.queries.start()
        if self._launches is not None:
            self._launches.start()
        if self._gpu is not None:
            self._gpu.start()
        self._watch_events()

    def stop(self) -> None:
        """End the threads, that of events within a second, and close the source."""
        self._is_stopped = True
        self._learned.stop()
        if self._execution is not None:
            self._execution.stop()
        if self._launches is not None:
            self._launches.stop()
        if self._gpu is not None:
            self._gpu.stop()
        if self.stop_watching():
            self._machine.source.close()

    def stop_watching(self) -> bool:
        """End the watcher and the queries, until `rebuild`; return whether nothing reads the source any more."""
        self._machine.queries.stop()
        return self._machine.watcher.stop()

    def rebuild(self, device: wgpu.GPUDevice, page_map: PageMap) -> None:
        """A new scene, watcher and queries for the machine's source; views and choices stay."""
        state, machine = self._state, self._machine
        look, ram_size = machine.scene.look, len(machine.source.ram.view)
        machine.scene = Scene(device, ram_size, self._order)
        stand_side_by_side(state.scenes, state.names)
        machine.scene.set_look(look)
        machine.scene.set_executions(None if self._execution is None else self._execution.counts)
        self._attach_comparison()
        self._learned.stop()
        self._learned = LearnedWatch(machine.source, self._schedule.wake)
        machine.scene.set_page_map(page_map)
        machine.highlight, state.hover = None, None
        if machine is state.active and state.pin is not None and state.pin >= ram_size:
            state.pin = None
        machine.watcher = MemoryWatcher(machine.source, self._schedule.wake)
        machine.queries = Queries(machine.source.connect, self._schedule.show_answer)
        machine.watcher.start()
        machine.queries.start()

    def _attach_comparison(self) -> None:
        comparison = self._machine.source.comparison
        if comparison is not None:
            self._machine.scene.set_difference(comparison.kinds)

    # --- changes and results --------------------------------------------------------------------------------

    def apply_changes(self) -> Pages | None:
        """Bring changed memory and the newest page map into the scene; return the pages that look different now.

        None where pages changed their class or owner: then any part of the picture may change.
        """
        machine = self._machine
        if self._execution is not None and self._execution.problem:
            self._state.notify(self._execution.problem, is_problem=True)
            self.toggle_execution()
        # Pages first, then the table over them: a page is never shown as something it was before.
        pages, written = machine.watcher.take_changes(PAGES_PER_FRAME << PAGE_SHIFT)
        now = time.monotonic()
        touched = machine.watcher.touched(pages)
        if machine.source.comparison is not None:
            machine.scene.update_difference(machine.source.comparison.update(pages, touched))
        machine.scene.clear_pages(pages[~touched])
        pages, written = pages[touched], written[touched]
        self._schedule.refresh_policy.note_writes(machine.scene.page_style.heat.written_s[pages[written]], now)
        machine.scene.update_pages(machine.source.ram.view, pages, written, now)
        learned = self._learned.follow(machine.scene.look.mode is Mode.LEARNED)
        if learned is not None:
            machine.scene.set_learned(learned)
        page_map = machine.watcher.take_page_map()
        is_new_map = page_map is not None and machine.scene.set_page_map(page_map)
        if is_new_map and machine.queries.is_available and "Linux" not in machine.source.title:
            machine.queries.ask(_TITLE, lambda _: machine.source.refresh_title())
        machine.scene.advance(machine.source.ram.view, now)
        stale = machine.scene.take_stale()
        return None if is_new_map else stale

    def apply_results(self) -> None:
        """Apply the results that came since the last frame."""
        self._apply(glow.HIGHLIGHT, self._apply_highlight)
        self._apply(selection.FOLLOW, self._apply_place)
        self._apply(RUNSTATE, self._apply_runstate)
        self._apply(TOLD, lambda do: do())

    def _apply(self, topic: Topic[T], apply: Callable[[T], None]) -> None:
        answer = self._machine.queries.result(topic)
        if answer is None or self._seen.get(topic) == answer.time_s:
            return
        self._seen[topic] = answer.time_s
        if answer.value is not None:
            apply(answer.value)
        elif answer.error:
            self._state.notify(self._state.tell(self._machine, answer.error), is_problem=True)

    def _apply_highlight(self, found: FoundPages) -> None:
        # Of what is found in several machines, that in the active one is selected.
        state, machine = self._state, self._machine
        is_active, pin = machine is state.active, found.pin
        highlighting.highlight_pages(
            state, found.title, found.pages, fly=found.fly, target=found.target, machine=machine
        )
        if pin is not None and is_active:
            selection.select(state, pin)
        if found.hits is not None:
            is_only = is_active and pin is None and len(found.hits.offsets) == 1
            hits.add(state, state.machines.index(machine), found.hits, choose_first=is_only)
            state.open_panel("details")
            state.tab = "Hits"
        elif pin is None and len(found.pages) == 1 and is_active:
            selection.select(state, int(found.pages[0]) << PAGE_SHIFT)

    def _apply_place(self, place: Place) -> None:
        navigation.mark(self._state, "follow")
        selection.select(self._state, int(place.ram_offset), self._state.machines.index(self._machine))
        if not navigation.is_in_sight(self._state):
            navigation.frame(self._state)

    def _apply_runstate(self, runstate: Runstate) -> None:
        self._machine.runstate = runstate

    # --- execution ---------------------------------------------------------------------------------------

    def toggle_execution(self) -> None:
        """Start or stop counting executed blocks, and show where they are."""
        state, machine = self._state, self._machine
        if self._execution is not None:
            self._execution.stop()
            self._execution = None
            machine.scene.set_executions(None)
            machine.writers = None
            appearance.set_look(state, replace(state.scene.look, mode=Mode.CLASS))
            return
        connect = machine.source.connect
        if connect is None:
            state.notify("execution can be watched in a running machine only; open one", is_problem=True)
            return
        self._execution = ExecutionWatch(connect, machine.scene.page_count, self._schedule.wake)
        watch = self._execution
        watch.start()
        machine.writers = lambda offset: watch.writers(machine.queries, offset)
        machine.scene.set_executions(self._execution.counts)
        appearance.set_look(state, replace(state.scene.look, mode=Mode.EXECUTION))
        state.notify("execution is counted; the guest runs slower meanwhile")

    # --- launches of kernels -----------------------------------------------------------------------------

    def _show_launches(self) -> None:
        # A picture without the panel need not be drawn anew.
        if self._state.is_open("details"):
            self._schedule.show_answer()

    # --- events, end and return --------------------------------------------------------------------------

    def _watch_events(self) -> None:
        connect = self._machine.source.connect
        if connect is not None:
            threading.Thread(target=self._relay_events, args=(connect,), name="viewer-events", daemon=True).start()

    def _relay_events(self, connect: Callable[[], Client]) -> None:
        # The machine's runstate, as it changes, and what other programs ask of the window. Its end is reported by the watcher.
        with contextlib.suppress(GlassBoxError, OSError), connect() as client:
            session = client.viewer_join(os.getpid())
            self._schedule.call_soon(partial(self._remote.join, session))
            for event in client.events(session, lambda: self._is_stopped or self._schedule.is_closed):
                if isinstance(event, ViewerEvent):
                    self._schedule.call_soon(partial(self._remote.obey, event))
                    continue
                if isinstance(event, RunstateEvent):
                    self._machine.runstate = event.runstate
                elif isinstance(event, ExitedEvent):
                    self._machine.runstate = None
                else:
                    continue
                self._schedule.call_soon(self._follow_runstate)

    def _follow_runstate(self) -> None:
        # The memory of a paused guest need not be watched.
        self._schedule.refresh_policy.reset()
        self._schedule.show_changes()
        self._machine.watcher.set_guest_paused(self._machine.runstate is Runstate.PAUSED)

    def check_machine(self) -> None:
        """Report what is shown; where the machine has ended, say so and wait on a thread for its return."""
        self._remote.report()
        state, machine = self._state, self._machine
        if machine.watcher.error is None or self._is_reconnecting or machine.source.reopen is None:
            return
        self._is_reconnecting = True
        # One machine alone keeps its last picture; of several it is to be seen which one it is.
        machine.scene.is_ended = len(state.machines) > 1
        state.notify(f"{machine.watcher.error}; waiting for it to return", is_problem=True)
        threading.Thread(
            target=self._reconnect, args=(machine.source.reopen,), name="viewer-reconnect", daemon=True
        ).start()

    def _reconnect(self, reopen: Callable[[], Source]) -> None:
        while not self._schedule.is_closed:
            time.sleep(RETRY_S)
            with contextlib.suppress(GlassBoxError, OSError), contextlib.ExitStack() as stack:
                source = reopen()
                stack.callback(source.close)
                page_map = read_page_map(source)
                stack.pop_all()
                self._schedule.call_soon(partial(self._replace_source, source, page_map))
                return

    def _replace_source(self, source: Source, page_map: PageMap) -> None:
        if self._schedule.is_closed:
            source.close()
            return
        self._is_reconnecting = False
        state, machine = self._state, self._machine
        if self.stop_watching():
            machine.source.close()
        machine.source = source

        def build() -> None:
            self.rebuild(machine.scene.device, page_map)
            hits.forget(state, state.machines.index(machine))
            self._renew()
            state.notify(f"{machine.name} is running again")

        state.attempt(build)
        self._watch_events()
