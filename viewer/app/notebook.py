"""A machine in a cell of a notebook: the same window, on a canvas that Jupyter shows.

::

    from viewer.app.notebook import show

    show("demo")  # or the path of a capture

The picture is drawn where the kernel runs and follows the guest; mouse and keys work as in the window. It needs the
package ``jupyter_rfb``, which comes with the extra ``notebook``.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qemu_bridge.errors import UsageError

from ..sources.machine import MachineSource
from ..sources.source import Source

if TYPE_CHECKING:
    from .window import Window

_SIZE = (1000, 600)
_windows: weakref.WeakKeyDictionary[Any, Window] = weakref.WeakKeyDictionary()
"""A canvas keeps its window, which the cell does not name."""


def show(name: str, size: tuple[int, int] = _SIZE, at: str | None = None, against: str | None = None) -> Any:  # noqa: ANN401  # a widget
    """The canvas of a window on machine, or capture, `name`; as the last value of a cell it is shown.

    `size` is (width, height) in pixels of the page, `at` the text of a view, `against` a capture to compare with.
    Raises `UsageError` where ``jupyter_rfb`` is not installed, and what `viewer.app.window.open_window` raises.
    """
    try:
        from rendercanvas.jupyter import RenderCanvas, loop
    except ImportError as error:
        raise UsageError(
            f"a notebook needs jupyter_rfb ({error}); in the checkout, pip install '.[notebook]'"
        ) from None
    source = MachineSource(name, against)
    canvas = RenderCanvas(size=size, update_mode="ondemand", max_fps=30)
    return show_on(canvas, loop, source, size, at)


def show_on(canvas: Any, loop: Any, source: Source, size: tuple[int, int], at: str | None = None) -> Any:  # noqa: ANN401  # of rendercanvas
    """Begin to draw `source` on a canvas whose loop runs by itself; return the canvas. It ends when that is closed."""
    from ..sources.comparison import with_difference
    from .window import Window

    if source.comparison is not None:
        at = with_difference(at or "")
    window = Window(source, size, at, None, (canvas, loop))
    _windows[canvas] = window
    canvas.add_event_handler(lambda _: window.stop(), "close")
    window.start()
    return canvas


def window_of(canvas: Any) -> Window:  # noqa: ANN401  # of rendercanvas
    """The window that `show` opened on `canvas`, to move its camera or change its look from a cell."""
    return _windows[canvas]
