"""A machine in a cell of a notebook: the same window, on a canvas that Jupyter shows.

::

    from viewer.app.notebook import show

    show("demo")  # or the path of a capture

The picture is drawn where the kernel runs and follows the guest; mouse and keys work as in the window. It needs the
package ``jupyter_rfb``, which comes with the extra ``notebook``.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qemu_bridge.errors import UsageError

from ..sources.machine import open_machines
from ..sources.source import Source

if TYPE_CHECKING:
    from .window import Window

_SIZE = (1000, 600)
_WITHOUT_TEXT, _ALT_GR = {"Alt", "Control", "Meta"}, {"Alt", "Control"}
"""Modifiers with which a key writes nothing, but for the two that some systems tell AltGr as."""
_windows: weakref.WeakKeyDictionary[Any, Window] = weakref.WeakKeyDictionary()
"""A canvas keeps its window, which the cell does not name."""


def show(
    name: str, *others: str, size: tuple[int, int] = _SIZE, at: str | None = None, against: str | None = None
) -> Any:  # noqa: ANN401  # a widget
    """The canvas of a window on machine, or capture, `name`, and `others` beside it; as the last value of a cell it is shown.

    `size` is (width, height) in pixels of the page, `at` the text of a view, `against` a capture to compare with.
    Raises `UsageError` where ``jupyter_rfb`` is not installed, and what `viewer.app.window.open_window` raises.
    """
    try:
        from rendercanvas.jupyter import RenderCanvas, loop
    except ImportError as error:
        raise UsageError(
            f"a notebook needs jupyter_rfb ({error}); in the checkout, pip install '.[notebook]'"
        ) from None

    class NotebookCanvas(RenderCanvas):  # type: ignore[misc]  # rendercanvas has no types
        def handle_event(self, event: dict[str, Any]) -> None:
            for each in with_characters(event):
                super().handle_event(each)

    source, *beside = open_machines((name, *others), against, is_followed=True)
    canvas = NotebookCanvas(size=size, update_mode="ondemand", max_fps=30)
    return show_on(canvas, loop, source, size, at, beside)


def with_characters(event: dict[str, Any]) -> list[dict[str, Any]]:
    """An event of jupyter_rfb, and behind a key the character that it writes.

    jupyter_rfb 1.0 fails in the browser before it tells what was typed, but a browser's name for a key is its character. If a
    later release tells it, that is left out: no character comes twice. What an input method composes is told by both.
    """
    kind, held = event["event_type"], _WITHOUT_TEXT & set(event.get("modifiers", ()))
    if kind == "char" and not event.get("is_composing"):
        return []
    if kind != "key_down" or len(event["key"]) != 1 or held not in (set(), _ALT_GR):
        return [event]
    return [event, {"event_type": "char", "data": event["key"], "modifiers": event["modifiers"]}]


def show_on(
    canvas: Any,  # noqa: ANN401  # of rendercanvas
    loop: Any,  # noqa: ANN401
    source: Source,
    size: tuple[int, int],
    at: str | None = None,
    others: Sequence[Source] = (),
) -> Any:  # noqa: ANN401
    """Begin to draw `source`, and `others` beside it, on a canvas whose loop runs by itself; return the canvas.

    It ends when that is closed.
    """
    from ..sources.comparison import with_difference
    from .window import Window

    if source.comparison is not None:
        at = with_difference(at or "")
    window = Window(source, size, at, None, (canvas, loop), others)
    _windows[canvas] = window
    canvas.add_event_handler(lambda _: window.stop(), "close")
    window.start()
    return canvas


def window_of(canvas: Any) -> Window:  # noqa: ANN401  # of rendercanvas
    """The window that `show` opened on `canvas`, to move its camera or change its look from a cell."""
    return _windows[canvas]
