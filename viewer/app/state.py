"""The state that the window and its panels share: what is shown, what is selected, what was asked.

This is the record. What changes it are functions over it, a module for each concern: `viewer.app.navigation` (where one
looks from), `viewer.app.selection` (the pinned byte), `viewer.app.highlighting` (pages that stand out) and
`viewer.app.appearance` (which classes show, and how). Panels call these, and never each other. Nothing here draws.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.wire.records import Runstate

from ..picture.legend_entries import LegendEntryCache
from ..render.histogram import ByteHistogram
from ..render.scene import Scene
from ..sources.launches import LaunchList
from ..sources.queries import Queries, Topic
from ..sources.source import Source
from ..sources.watcher import MemoryWatcher
from ..view.views import View
from .bookmarks import Bookmarks
from .camera_controller import CameraController
from .pick import PickResult
from .settings import Settings
from .table_view import TableView

log = logging.getLogger(__name__)

_MESSAGES = 100
_MESSAGE_S = 8.0
RUNSTATE: Topic[Runstate] = Topic("runstate")


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for the user; `time_s` on the monotonic clock."""

    text: str
    time_s: float
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class PageGroup:
    """Highlighted pages: what they are called, their numbers, ascending, and their target where they are those of one."""

    title: str
    pages: npt.NDArray[np.int64]
    target: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """Places in the RAM file that a query found.

    Attributes:
        query: what was looked for.
        offsets: of the first byte of each, ascending.
        is_complete: whether these are all.
    """

    query: str
    offsets: npt.NDArray[np.int64]
    is_complete: bool = True


@dataclass(slots=True)
class CommandPalette:
    """The search box: whether it is open, whether its field takes what is typed, what was typed, which line is chosen.

    `is_entered`: Enter was pressed while the daemon's matches were still to come. `openings` counts how often it was opened: each time its field is another one, which keeps no text of the last.
    """

    is_open: bool = False
    is_ready: bool = False
    is_entered: bool = False
    openings: int = 0
    query: str = ""
    chosen: int = 0
    is_new: bool = False


@dataclass
class ViewerState:
    """Everything a panel may read.

    Attributes:
        pin: the selected byte's offset in the RAM file, None for none.
        highlight: pages that stand out, None for none.
        hits, hit: what the last search found, and which of it is chosen, -1 for none.
        pid: the selected process, 0 for none.
        aspect, free_aspect: width / height of the picture, and of what panels leave of it.
        cursor: where the pointer is over the picture, in physical pixels; None for elsewhere.
        is_home_chosen: whether the user named the first view, so that it is not fitted to the window.
        is_dragging: whether a button is held on the picture.
        hover: what is under the cursor.
        runstate: of the machine, as QEMU names it; empty where it is not known.
        rebinding: the command that gets the next key that is pressed; empty for none.
        table_views: how the table of each name is filtered and sorted.
        progress: of what takes longer, in words; empty for nothing.
        in_view: pages that show in the picture, ascending, as it last stood still while the map was open.
        writers: names the last writers of a byte's page, given its RAM offset; None while execution is not watched.
    """

    source: Source
    scene: Scene
    watcher: MemoryWatcher
    controller: CameraController
    queries: Queries
    settings: Settings
    bookmarks: Bookmarks
    wake: Callable[[], None]
    pin: int | None = None
    highlight: PageGroup | None = None
    hits: Hits | None = None
    hit: int = -1
    pid: int = 0
    cursor: tuple[int, int] | None = None
    is_home_chosen: bool = False
    is_dragging: bool = False
    hover: PickResult | None = None
    tab: str = ""
    overlay_name: str = ""
    type_name: str = ""
    mapping_pid: int = 0
    table_views: dict[str, TableView] = field(default_factory=lambda: defaultdict(TableView))
    is_help_open: bool = False
    rebinding: str = ""
    command_palette: CommandPalette = field(default_factory=CommandPalette)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=_MESSAGES))
    runstate: Runstate | None = None
    writers: Callable[[int], list[str]] | None = None
    clipboard: Callable[[str], None] = lambda text: None
    aspect: float = 1.6
    free_aspect: float = 1.6
    frames_per_s: float = 0.0
    drawn_size: tuple[int, int] = (0, 0)
    is_idle: bool = False
    progress: str = ""
    in_view: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    histogram: ByteHistogram = field(default_factory=ByteHistogram)
    legend_cache: LegendEntryCache = field(default_factory=LegendEntryCache)
    launches: LaunchList = field(default_factory=LaunchList)
    is_dirty_settings: bool = False

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.source.title.partition(" · ")[0]

    @property
    def view(self) -> View:
        """The view at the end of the present camera move."""
        glow = self.highlight.target if self.highlight is not None else ""
        return View(self.controller.goal, self.controller.mode, self.scene.look, self.pin, glow)

    def notify(self, text: str, is_problem: bool = False) -> None:
        """Tell the user, in the window and in the log."""
        self.messages.append(Message(text, time.monotonic(), is_problem))
        log.log(logging.WARNING if is_problem else logging.INFO, "%s", text)
        self.wake()

    def recent_messages(self, now_s: float) -> list[Message]:
        """Messages that are still shown."""
        return [message for message in self.messages if now_s - message.time_s < _MESSAGE_S]

    def attempt(self, action: Callable[[], object]) -> None:
        """Do `action`; an error becomes a message."""
        try:
            action()
        except GlassBoxError as error:
            self.notify(str(error), is_problem=True)

    def copy(self, text: str, what: str) -> None:
        """Put `text` on the clipboard."""
        self.clipboard(text)
        self.notify(f"copied {what}")

    def open_panel(self, name: str, is_open: bool = True) -> None:
        """Open or close a panel."""
        settings = self.settings.with_panel(name, is_open)
        if settings != self.settings:
            self.settings, self.is_dirty_settings = settings, True
            self.wake()

    def set_keys(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        """Remember the keys that the user gave to commands."""
        self.settings, self.is_dirty_settings = replace(self.settings, keys=keys), True
        self.wake()

    def is_open(self, name: str) -> bool:
        """Whether a panel shows."""
        return name in self.settings.panels
