"""The state that the window and its panels share: what is shown, what is selected, what was asked.

A window shows one machine or several. One of them is *active*: what is selected is a byte of it, and panels are about it.

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
from ..render.scene import Scene, content_around
from ..sources.flows import Arc
from ..sources.gpu import GpuWatch
from ..sources.launches import LaunchList
from ..sources.queries import Queries, Topic
from ..sources.source import Source, name_of
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
    """Places in RAM files that a query found.

    Attributes:
        query: what was looked for.
        offsets: of the first byte of each, ascending in each machine.
        is_complete: whether these are all.
        machines: which of the window's machines each is in, ascending; empty where all are in the first.
    """

    query: str
    offsets: npt.NDArray[np.int64]
    is_complete: bool = True
    machines: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def machine_of(self, number: int) -> int:
        """Which machine a hit is in."""
        return int(self.machines[number]) if len(self.machines) else 0


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
class ShownMachine:
    """One of the machines of a window.

    Attributes:
        source, scene, watcher, queries: where it comes from, how it is drawn, what follows it, what asks its daemon.
        highlight: its pages that stand out, None for none.
        runstate: as QEMU names it; None where it is not known.
        writers: names the last writers of a byte's page, given its RAM offset; None while execution is not watched.
    """

    source: Source
    scene: Scene
    watcher: MemoryWatcher
    queries: Queries
    highlight: PageGroup | None = None
    runstate: Runstate | None = None
    writers: Callable[[int], list[str]] | None = None

    @property
    def name(self) -> str:
        """The machine's name."""
        return name_of(self.source)


@dataclass
class ViewerState:
    """Everything a panel may read.

    Attributes:
        machines: what is shown, one machine or more, side by side.
        active_number: which of them is active.
        pin: the selected byte's offset in the RAM file, None for none.
        hits, hit: what the last search found, and which of it is chosen, -1 for none.
        pid: the selected process, 0 for none.
        aspect, free_aspect: width / height of the picture, and of what panels leave of it.
        cursor: where the pointer is over the picture, in physical pixels; None for elsewhere.
        is_home_chosen: whether the user named the first view, so that it is not fitted to the window.
        is_dragging: whether a button is held on the picture.
        hover: what is under the cursor.
        rebinding: the command that gets the next key that is pressed; empty for none.
        table_views: how the table of each name is filtered and sorted.
        progress: of what takes longer, in words; empty for nothing.
        arcs: what machines send each other, as it is news.
        in_view: pages of the active machine that show in the picture, ascending, as it last stood still while the map was open.
    """

    machines: list[ShownMachine]
    controller: CameraController
    settings: Settings
    bookmarks: Bookmarks
    wake: Callable[[], None]
    active_number: int = 0
    pin: int | None = None
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
    gpu: GpuWatch | None = None
    arcs: list[Arc] = field(default_factory=list)
    is_dirty_settings: bool = False

    @property
    def active(self) -> ShownMachine:
        """The active machine."""
        return self.machines[self.active_number]

    @property
    def source(self) -> Source:
        """Where the active machine comes from."""
        return self.active.source

    @property
    def scene(self) -> Scene:
        """How it is drawn."""
        return self.active.scene

    @property
    def watcher(self) -> MemoryWatcher:
        """What follows its memory."""
        return self.active.watcher

    @property
    def queries(self) -> Queries:
        """What asks its daemon."""
        return self.active.queries

    @property
    def highlight(self) -> PageGroup | None:
        """Its pages that stand out, None for none."""
        return self.active.highlight

    @property
    def runstate(self) -> Runstate | None:
        """Its runstate; None where it is not known."""
        return self.active.runstate

    @property
    def writers(self) -> Callable[[int], list[str]] | None:
        """Names the last writers of a byte's page of it; None while execution is not watched."""
        return self.active.writers

    @property
    def name(self) -> str:
        """The active machine's name."""
        return self.active.name

    @property
    def names(self) -> list[str]:
        """The names of all machines."""
        return [machine.name for machine in self.machines]

    @property
    def scenes(self) -> list[Scene]:
        """The scenes of all machines."""
        return [machine.scene for machine in self.machines]

    @property
    def others(self) -> list[Scene]:
        """The scenes of the machines that are not active."""
        return [machine.scene for machine in self.machines if machine is not self.active]

    @property
    def backlog(self) -> int:
        """Changed pages of all machines that are not drawn yet."""
        return sum(machine.watcher.backlog() for machine in self.machines)

    def content_box(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The box around nearly all that catches the eye."""
        return content_around(self.scenes)

    @property
    def view(self) -> View:
        """The view at the end of the present camera move."""
        glow = next((each.highlight.target for each in self.machines if each.highlight is not None), "")
        machine = self.name if self.pin is not None and self.active_number else ""
        return View(self.controller.goal, self.controller.mode, self.scene.look, self.pin, glow, machine)

    def notify(self, text: str, is_problem: bool = False) -> None:
        """Tell the user, in the window and in the log."""
        self.messages.append(Message(text, time.monotonic(), is_problem))
        log.log(logging.WARNING if is_problem else logging.INFO, "%s", text)
        self.wake()

    def tell(self, machine: ShownMachine, text: str) -> str:
        """What is said of one machine: where there are several its name stands before it."""
        return f"{machine.name}: {text}" if len(self.machines) > 1 else text

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
