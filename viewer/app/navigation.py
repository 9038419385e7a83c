"""Where one looks from: moves of the camera, undo and redo, bookmarks, framing pages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire.view_text import MIN_DISTANCE

from ..render.scene import Scene, box_around
from ..view.camera import Camera
from ..view.views import Mode, View, format_view, parse_view
from . import glow, selection
from .pick import PickResult
from .state import ViewerState

_OUTGROWN = 1.15
_MODE_HELP = {Mode.ORBIT: "orbit: drag turns", Mode.FLY: "fly: W A S D, E up, C down", Mode.TOP: "top: a map"}


def mark(state: ViewerState, kind: str) -> None:
    """A move of `kind` begins: remember the view before it, for `undo`."""
    state.controller.mark(state.view, kind, time.monotonic())


def show_view(state: ViewerState, view: View) -> None:
    """Fly to `view`, and show and select what it names."""
    machine = _number_of(state, view.machine)
    for scene in state.scenes:
        scene.set_look(view.look)
    state.controller.mode = view.mode
    state.controller.fly_to(view.camera)
    if view.pin != state.pin or (view.pin is not None and machine != state.active_number):
        selection.select(state, view.pin, None if view.pin is None else machine)
    if view.glow != state.view.glow:
        _show_glow(state, view.glow)
    state.wake()


def _number_of(state: ViewerState, name: str) -> int:
    if not name:
        return 0
    if name not in state.names:
        raise UsageError(f"machine={name} is not in this picture; it has {', '.join(state.names)}")
    return state.names.index(name)


def _show_glow(state: ViewerState, target: str) -> None:
    if target:
        glow.highlight_everywhere(state, target)
    else:
        glow.clear_highlight(state)


def undo(state: ViewerState) -> None:
    """Go back to the view before the last move."""
    _travel(state, state.controller.history.undo(state.view), "there is no view to go back to")


def redo(state: ViewerState) -> None:
    """Take back the last undo."""
    _travel(state, state.controller.history.redo(state.view), "there is nothing to redo")


def _travel(state: ViewerState, view: View | None, otherwise: str) -> None:
    if view is None:
        state.notify(otherwise)
    else:
        show_view(state, view)


def jump(state: ViewerState, text: str) -> None:
    """Go to the view in `text`; a wrong one is a message."""

    def go() -> None:
        view = parse_view(text, state.view)
        mark(state, "jump")
        show_view(state, view)

    state.attempt(go)


def fit_home(state: ViewerState, free_aspect: float) -> None:
    """Note how much the panels leave free; where that changed, fit the first view into it, and show it if it is shown."""
    if free_aspect == state.free_aspect:
        return
    state.free_aspect = free_aspect
    _refit_home(state)


def follow_content(state: ViewerState) -> None:
    """The page map is another: where the first view shows and the guest has outgrown it, as while it boots, step back."""
    controller = state.controller
    if state.is_home_chosen or controller.goal != controller.home:
        return
    wanted = controller.home.framing(*state.content_box(), state.free_aspect)
    if wanted.distance > _OUTGROWN * controller.home.distance:
        _refit_home(state)


def _refit_home(state: ViewerState) -> None:
    controller = state.controller
    if state.is_home_chosen:
        return
    is_shown, controller.home = (
        controller.goal == controller.home,
        controller.home.framing(*state.content_box(), state.free_aspect),
    )
    if is_shown:
        controller.fly_to(controller.home)


def go_home(state: ViewerState) -> None:
    """Fly to the first view, fitted to what shows now."""
    mark(state, "home")
    _refit_home(state)
    state.controller.fly_to(state.controller.home)
    state.wake()


def add_bookmark(state: ViewerState, name: str = "") -> None:
    """Keep the present view as `name`, or under a free name."""

    def keep() -> None:
        kept = state.bookmarks.add(name or state.bookmarks.free_name(), format_view(state.view))
        state.notify(f"saved this view as {kept!r}")

    state.attempt(keep)


def set_mode(state: ViewerState, mode: Mode) -> None:
    """Change the camera's mode."""
    mark(state, "mode")
    state.controller.set_mode(mode)
    state.settings = replace(state.settings, mode=mode)
    state.is_dirty_settings = True
    state.notify(_MODE_HELP[mode])


def frame(state: ViewerState) -> None:
    """Frame the selected byte's page, or what is highlighted, or all that shows."""
    if state.pin is not None:
        frame_pages(state, np.array([state.pin >> PAGE_SHIFT]))
    elif found := [(each.scene, each.highlight.pages) for each in state.machines if each.highlight is not None]:
        frame_found(state, found)
    else:
        mark(state, "frame")
        state.controller.fly_to(state.controller.goal.framing(*state.content_box(), state.free_aspect))
        state.wake()


def frame_pages(state: ViewerState, pages: npt.NDArray[np.int64]) -> None:
    """Fly to where `pages` of the active machine fill what the panels leave of the picture; a few leave their neighbours in sight."""
    frame_found(state, [(state.scene, pages)])


def frame_found(state: ViewerState, found: Sequence[tuple[Scene, npt.NDArray[np.int64]]]) -> None:
    """Fly to where pages of one machine or several are all seen, as `frame_pages` does."""
    mark(state, "frame")
    state.controller.fly_to(framing_found(found, state.controller.goal, state.free_aspect))
    state.wake()


def framing_pages(scene: Scene, camera: Camera, pages: npt.NDArray[np.int64], aspect: float) -> Camera:
    """`camera` where `pages` fill a picture of this width / height; a few leave their neighbours in sight."""
    return framing_found([(scene, pages)], camera, aspect)


def framing_found(found: Sequence[tuple[Scene, npt.NDArray[np.int64]]], camera: Camera, aspect: float) -> Camera:
    """`framing_pages` for pages of each of some scenes of one picture."""
    low, high = box_around(scene.box_of(pages) for scene, pages in found)
    wide = np.maximum((high - low) / 2, 2.0 / found[0][0].unit)
    middle = (low + high) / 2
    goal = camera.framing(middle - wide, middle + wide, aspect)
    return replace(goal, distance=max(goal.distance, 2 * MIN_DISTANCE))


def step_page(state: ViewerState, step: int) -> None:
    """Select the next or the previous page of the same owner and class, and go there if it is out of sight."""
    offset = selection.neighbour(state, step)
    if offset is None:
        return
    mark(state, "step")
    selection.select(state, offset)
    if not is_in_sight(state):
        frame(state)


def is_in_sight(state: ViewerState) -> bool:
    """Whether the pinned byte is before the eye and inside the picture."""
    if state.pin is None:
        return False
    low, high = box_of(state, np.array([state.pin >> PAGE_SHIFT]))
    x, y, depth = project(state, np.array([(low + high) / 2]), state.controller.goal)[0].tolist()
    # Panels leave the middle of the picture, as wide as this.
    return bool(depth > 0 and abs(x) < 0.9 * min(state.free_aspect / state.aspect, 1) and abs(y) < 0.9)


def box_of(state: ViewerState, pages: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The box around `pages` of the active machine."""
    return state.scene.box_of(pages)


def place_at(
    state: ViewerState, picked: PickResult | None, x: float, y: float, shift: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Where in the cube the pointer is at (x, y) of the picture, each -1 to 1: in the page that was picked, else in the target's plane."""
    if picked is not None:
        low, high = state.machines[picked.machine].scene.box_of(np.array([picked.page]))
        return (low + high) / 2
    return state.controller.camera.at(x - shift[0], y - shift[1], state.aspect)


def project(
    state: ViewerState, places: npt.NDArray[np.float64], camera: Camera | None = None
) -> npt.NDArray[np.float64]:
    """(x, y, depth) of places in the cube: x and y from -1 to 1 across the picture without its shift, y up."""
    return (camera or state.controller.camera).project(places, state.aspect)
