"""The state that the window and its panels share: what is shown, what is selected, what was asked.

Panels are functions over this; they read it and call its methods, and never each other. Nothing here draws.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GlassBoxError, UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE
from qemu_bridge.wire.records import PageClass, TypeLayout

from ..picture.meaning import KeptSwatches
from ..render.histogram import ByteHistogram
from ..render.scene import Scene
from ..sources.live import Feed
from ..sources.questions import Questions
from ..sources.source import Source
from ..view.camera import MIN_DISTANCE, Camera
from ..view.curve import to_xyz
from ..view.inspector import guess_types
from ..view.look import Layer, Look
from ..view.views import Mode, View, format_view, parse_view
from .bookmarks import Bookmarks
from .input import Eye
from .settings import Settings
from .spot import Spot, read_spot

log = logging.getLogger(__name__)

GLOW_PAGES = 200_000
_MESSAGES = 100
_MESSAGE_S = 8.0


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for the user; `time_s` on the monotonic clock."""

    text: str
    time_s: float
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Pages that were asked for and glow: what they are called, and their numbers, ascending."""

    title: str
    pages: npt.NDArray[np.int64]


@dataclass(slots=True)
class PaletteState:
    """The search box: whether it is open, what was typed, which line is chosen."""

    is_open: bool = False
    query: str = ""
    chosen: int = 0
    is_new: bool = False


@dataclass
class Desk:
    """Everything a panel may look at.

    Attributes:
        pin: the selected byte's offset in the RAM file, None for none.
        glow: pages that stand out, None for none.
        pid: the selected process, 0 for none.
        aspect, free_aspect: width / height of the picture, and of what panels leave of it.
        cursor: where the pointer is over the picture, in physical pixels; None for elsewhere.
        is_dragging: whether a button is held on the picture.
        hover: what is under the cursor.
        in_view: pages that show in the picture, ascending, as it last stood still while the map was open.
        writers: says who stored last to the page of a byte, given its RAM offset; None while nobody watches what executes.
    """

    source: Source
    scene: Scene
    feed: Feed
    eye: Eye
    questions: Questions
    settings: Settings
    bookmarks: Bookmarks
    wake: Callable[[], None]
    pin: int | None = None
    glow: Group | None = None
    pid: int = 0
    cursor: tuple[int, int] | None = None
    is_dragging: bool = False
    hover: Spot | None = None
    tab: str = ""
    overlay_name: str = ""
    type_name: str = ""
    mapping_pid: int = 0
    is_help_open: bool = False
    palette: PaletteState = field(default_factory=PaletteState)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=_MESSAGES))
    status: dict[str, Any] = field(default_factory=dict)
    writers: Callable[[int], list[str]] | None = None
    clipboard: Callable[[str], None] = lambda text: None
    aspect: float = 1.6
    free_aspect: float = 1.6
    frames_per_s: float = 0.0
    drawn_size: tuple[int, int] = (0, 0)
    is_idle: bool = False
    in_view: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    histogram: ByteHistogram = field(default_factory=ByteHistogram)
    swatches: KeptSwatches = field(default_factory=KeptSwatches)
    is_dirty_settings: bool = False

    # --- words -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.source.title.partition(" · ")[0]

    def say(self, text: str, is_problem: bool = False) -> None:
        """Tell the user, in the window and in the log."""
        self.messages.append(Message(text, time.monotonic(), is_problem))
        log.log(logging.WARNING if is_problem else logging.INFO, "%s", text)
        self.wake()

    def news(self, now_s: float) -> list[Message]:
        """Messages that are still new."""
        return [message for message in self.messages if now_s - message.time_s < _MESSAGE_S]

    def attempt(self, action: Callable[[], object]) -> None:
        """Do `action`; an error becomes a message."""
        try:
            action()
        except GlassBoxError as error:
            self.say(str(error), is_problem=True)

    def copy(self, text: str, what: str) -> None:
        """Put `text` on the clipboard."""
        self.clipboard(text)
        self.say(f"copied {what}")

    # --- views -------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """What one looks at, where a move ends."""
        return View(self.eye.goal, self.eye.mode, self.scene.look, self.pin)

    def mark(self, kind: str) -> None:
        """A move of `kind` begins: remember the view before it."""
        self.eye.mark(self.view, kind, time.monotonic())

    def show_view(self, view: View) -> None:
        """Fly to `view`, and show and select what it says."""
        self.scene.set_look(view.look)
        self.eye.mode = view.mode
        self.eye.fly_to(view.camera)
        if view.pin != self.pin:
            self.select(view.pin)
        self.wake()

    def undo(self) -> None:
        """Go back to the view before the last move."""
        self._travel(self.eye.history.undo(self.view), "there is no view to go back to")

    def redo(self) -> None:
        """Take back the last undo."""
        self._travel(self.eye.history.redo(self.view), "there is nothing to redo")

    def _travel(self, view: View | None, otherwise: str) -> None:
        if view is None:
            self.say(otherwise)
        else:
            self.show_view(view)

    def jump(self, text: str) -> None:
        """Go to the view that `text` says; a wrong one is a message."""

        def go() -> None:
            view = parse_view(text, self.view)
            self.mark("jump")
            self.show_view(view)

        self.attempt(go)

    def add_bookmark(self, name: str = "") -> None:
        """Keep the present view as `name`, or under a free name."""

        def keep() -> None:
            kept = self.bookmarks.add(name or self.bookmarks.free_name(), format_view(self.view))
            self.say(f"kept this view as {kept!r}")

        self.attempt(keep)

    def set_mode(self, mode: Mode) -> None:
        """Move in another way."""
        self.mark("mode")
        self.eye.set_mode(mode)
        self.settings = replace(self.settings, mode=mode)
        self.is_dirty_settings = True
        self.say(
            {Mode.ORBIT: "orbit: drag turns", Mode.FLY: "fly: W A S D, E up, C down", Mode.TOP: "top: a map"}[mode]
        )

    # --- selection ---------------------------------------------------------------------------------------

    def select(self, offset: int | None, note: bool = False) -> None:
        """Pin the byte at `offset` of the RAM file, or nothing, and ask what it is; `note` tells it in the log."""
        if offset is not None and not 0 <= offset < len(self.source.ram.view):
            self.say(f"RAM has no byte {offset:#x}; it ends at {len(self.source.ram.view):#x}", is_problem=True)
            return
        self.pin, self.type_name = offset, ""
        if offset is None:
            self.pid = 0
            self.wake()
            return
        spot = read_spot(self.scene, self.source.ram, *divmod(offset, PAGE_SIZE))
        self.pid = spot.owner.pid if spot.owner is not None else 0
        self.open_panel("details")
        if not note:
            self.tab = "Inspector"
        self.ask_place()
        self.wake()

    def spot(self) -> Spot | None:
        """What is known now of the pinned byte."""
        return None if self.pin is None else read_spot(self.scene, self.source.ram, *divmod(self.pin, PAGE_SIZE))

    def ask_place(self) -> None:
        """Ask whose the pinned byte is."""
        spot = self.spot()
        if spot is not None and spot.physical is not None:
            place = f"{spot.physical:#x}"
            self.questions.ask("place", lambda client: client.whose(place), self.pin)

    def ask_type(self, names: tuple[str, ...], size: int) -> None:
        """Ask for the layout of the first of `names`, or of another that is no larger than `size` bytes (0 for any)."""

        def first(client: Any) -> TypeLayout | None:  # noqa: ANN401  # a client
            for name in names:
                try:
                    layout: TypeLayout = client.type_layout(name)
                except UsageError:
                    continue
                # A cache of that very name holds it even where it is cut short: a task ends with its FPU state.
                if not size or layout.size <= size or name == names[0]:
                    return layout
            return None

        self.questions.ask("type", first, (names, size))

    def slab_types(self, cache: str) -> tuple[str, ...]:
        """What to ask for: the user's choice, or what objects of `cache` may be."""
        return (self.type_name,) if self.type_name else tuple(guess_types(cache))

    def step_page(self, step: int) -> None:
        """Select the next or the previous page of the same owner and class."""
        if self.pin is None or self.scene.page_map is None:
            self.say("select a byte first: click on it")
            return
        entries = self.scene.page_map.entries
        page = self.pin >> PAGE_SHIFT
        same = entries["page_class"] == entries["page_class"][page]
        if entries["owner_id"][page]:
            same = same & (entries["owner_id"] == entries["owner_id"][page])
        pages = np.flatnonzero(same)
        here = int(np.searchsorted(pages, page))
        if len(pages) < 2:
            self.say("this is the only page of its kind and owner")
            return
        self.mark("step")
        self.select((int(pages[(here + step) % len(pages)]) << PAGE_SHIFT) + (self.pin & PAGE_SIZE - 1))
        if not self.is_in_sight():
            self.frame()

    def is_in_sight(self) -> bool:
        """Whether the pinned byte lies before the eye and inside the picture."""
        if self.pin is None:
            return False
        low, high = self.box_of(np.array([self.pin >> PAGE_SHIFT]))
        x, y, depth = self.project(np.array([(low + high) / 2]), self.eye.goal)[0].tolist()
        return bool(depth > 0 and abs(x) < 0.9 and abs(y) < 0.9)

    def show_pages(self, title: str, pages: npt.NDArray[np.int64], *, fly: bool) -> None:
        """Let `pages` glow; with `fly` go where they are all seen."""
        if not len(pages):
            self.say(f"{title}: no memory")
            self.drop_glow()
            return
        self.glow = Group(title, pages[:GLOW_PAGES])
        self.scene.glow(self.glow.pages)
        if fly:
            self.frame_pages(pages)
        self.wake()

    def drop_glow(self) -> None:
        """Let nothing glow."""
        self.glow = None
        self.scene.glow(np.zeros(0, np.int64))
        self.wake()

    def frame(self) -> None:
        """Frame the selected byte's page, or what glows, or all of RAM."""
        if self.pin is not None:
            self.frame_pages(np.array([self.pin >> PAGE_SHIFT]))
        elif self.glow is not None:
            self.frame_pages(self.glow.pages)
        else:
            self.frame_pages(np.arange(self.scene.page_count))

    def frame_pages(self, pages: npt.NDArray[np.int64]) -> None:
        """Fly to where `pages` fill what the panels leave of the picture; a few leave their neighbours in sight."""
        self.mark("frame")
        low, high = self.box_of(pages)
        wide = np.maximum((high - low) / 2, 2.0 / self.scene.edge)
        middle = (low + high) / 2
        goal = self.eye.goal.framing(middle - wide, middle + wide, self.free_aspect)
        self.eye.fly_to(replace(goal, distance=max(goal.distance, 2 * MIN_DISTANCE)))
        self.wake()

    def box_of(self, pages: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The box around `pages`, in edges of the cube."""
        places = to_xyz(pages.astype(np.uint64), self.scene.page_order).astype(np.float64)
        return places.min(axis=0) / self.scene.edge, (places.max(axis=0) + 1) / self.scene.edge

    def project(self, places: npt.NDArray[np.float64], camera: Camera | None = None) -> npt.NDArray[np.float64]:
        """(x, y, depth) of places in the cube: x and y from -1 to 1 across the picture without its shift, y up."""
        return (camera or self.eye.camera).project(places, self.aspect)

    # --- layers ------------------------------------------------------------------------------------------

    def toggle(self, classes: Iterable[PageClass]) -> None:
        """Show what is hidden and hide what shows."""
        self.mark("layers")
        self.scene.toggle(classes)
        self.wake()

    def isolate(self, page_class: PageClass) -> None:
        """Show one class alone; everything again if it is alone already."""
        look = replace(self.scene.look, isolated=frozenset())
        is_alone = self.scene.look.isolated == {page_class}
        self.set_look(look if is_alone else look.with_layer([page_class], Layer.ISOLATED))

    def dim(self, page_class: PageClass) -> None:
        """Draw a class as a ghost; in full if it is one already."""
        look = self.scene.look
        is_dim = look.layer(page_class) is Layer.DIMMED
        self.set_look(look.with_layer([page_class], Layer.SHOWN if is_dim else Layer.DIMMED))

    def show_all(self) -> None:
        """Show all classes in full."""
        plain = Look()
        self.set_look(replace(self.scene.look, hidden=plain.hidden, dimmed=plain.dimmed, isolated=plain.isolated))

    def set_look(self, look: Look) -> None:
        """Draw in another way; undo takes it back."""
        self.mark("look")
        self.scene.set_look(look)
        self.wake()

    # --- panels ------------------------------------------------------------------------------------------

    def open_panel(self, name: str, is_open: bool = True) -> None:
        """Open or close a panel."""
        settings = self.settings.with_panel(name, is_open)
        if settings != self.settings:
            self.settings, self.is_dirty_settings = settings, True
            self.wake()

    def is_open(self, name: str) -> bool:
        """Whether a panel shows."""
        return name in self.settings.panels
