"""What other programs ask of the window: to let a target stand out, to go to a byte or to a view.

The daemon tells all viewers (`ViewerEvent`), and those whose session is named do it, as a user would who searches. Of several that
wait the newest is done: all go through one topic of the query thread, so that no answer overtakes another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire.event_records import ViewerEvent

from ..sources.queries import Topic
from ..sources.targets import pages_of
from ..view.views import View, format_view, parse_view
from . import glow, navigation, selection
from .glow import FoundPages
from .state import ShownMachine, ViewerState

if TYPE_CHECKING:
    from qemu_bridge.client import Client

TOLD: Topic[Callable[[], None]] = Topic("told")
"""What the window was told to do, ready to be done by the thread that draws."""
_REPORT: Topic[None] = Topic("report")


class RemoteControl:
    """Does what a window is told to about one machine, and tells its daemon what is shown when the camera has come to rest."""

    def __init__(self, state: ViewerState, machine: ShownMachine, show: Callable[[FoundPages], None]) -> None:
        """`show` highlights what was found in `machine`, as after a search."""
        self._state, self._machine, self._show = state, machine, show
        self._session: int | None = None
        self._asked = self._done = 0
        self._problem = ""
        self._reported: tuple[str, str, int] | None = None

    def join(self, session: int) -> None:
        """The window is session `session` of its machine's daemon from now on."""
        self._session, self._reported = session, None
        self._asked = self._done = 0
        self._state.wake()

    def obey(self, event: ViewerEvent) -> None:
        """Do what `event` says soon, if this window is meant."""
        if self._session not in event.sessions:
            return
        self._asked = event.number
        present, count = self._state.view, self._machine.scene.page_count

        def prepare(client: Client) -> Callable[[], None]:
            try:
                action = self._prepare(event, client, present, count)
            except GlassBoxError as error:
                return partial(self._finish, event.number, str(error))
            return partial(self._do, event.number, action)

        self._machine.queries.ask(TOLD, prepare, event.number)

    def _prepare(self, event: ViewerEvent, client: Client, present: View, page_count: int) -> Callable[[], None]:
        if event.view:
            view = parse_view(event.view, present)
            # Who speaks to one machine need not know that others stand beside it.
            return partial(self._show_view, replace(view, machine=view.machine or self._machine.name))
        if event.place is not None:
            page = np.array([event.place >> PAGE_SHIFT], np.int64)
            return partial(self._select, FoundPages(f"{event.place:#x}", page, event.fly, pin=int(event.place)))
        if event.target:
            pages = pages_of(client.resolve(event.target).value, page_count)
            return partial(self._show, FoundPages(event.target, pages, event.fly, event.target))
        return partial(glow.clear_highlight, self._state, self._machine)

    def _show_view(self, view: View) -> None:
        navigation.mark(self._state, "remote")
        navigation.show_view(self._state, view)

    def _select(self, found: FoundPages) -> None:
        # The byte that is found in the active machine is selected.
        selection.activate(self._state, self._state.machines.index(self._machine))
        self._show(found)

    def _do(self, number: int, action: Callable[[], None]) -> None:
        self._state.notify("another program moves this view; u takes it back")
        action()
        self._finish(number, "")

    def _finish(self, number: int, problem: str) -> None:
        self._done, self._problem = number, problem
        if problem:
            self._state.notify(problem, is_problem=True)

    def report(self) -> None:
        """Tell the daemon what is shown, if that is news and nothing moves or is still to come."""
        state, session = self._state, self._session
        if session is None or state.controller.is_moving or self._done < self._asked:
            return
        shown = (format_view(state.view), self._problem, self._done)
        if shown != self._reported:
            self._reported = shown
            self._machine.queries.ask(_REPORT, lambda client: client.viewer_report(session, *shown))
