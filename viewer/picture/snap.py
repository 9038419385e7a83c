"""One picture of a machine or a capture, without a display: the library function behind ``glassbox snap``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from qemu_bridge.wire.picture_records import SnapOptions, SnapResult

from ..render.raymarch import PASSES, Renderer
from ..sources.comparison import with_difference
from ..sources.machine import MachineSource
from ..sources.source import Source
from ..view.views import View, format_view, parse_view
from .legend import free_aspect
from .offscreen import choose_camera, load_scene, render_scene, show_glow, show_view
from .output import validate_output, write_picture

Progress = Callable[[int, int], None]
"""Takes how many steps are done, and of how many."""
_STEPS_BEFORE, _STEPS_AFTER = 2, 1


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


def snap_machine(name: str, options: SnapOptions, progress: Progress = no_progress) -> SnapResult:
    """`snap` of the machine, or the capture's folder, `name`; `UnknownMachineError` if there is none.

    >>> snap_machine("demo", SnapOptions("demo.png", at="mode=entropy")).elapsed_s < 10
    True
    """
    validate_output(Path(options.output))
    with MachineSource(name, options.against) as source:
        return snap(source, options, progress)


def snap(source: Source, options: SnapOptions, progress: Progress = no_progress) -> SnapResult:
    """Write a picture of `source`; its comparison, if it has one, is drawn unless `options.at` names another colouring.

    Raises `UsageError` for a wrong view or order, `GraphicsError` without an adapter, and `GlassBoxError` where the file
    cannot be written, which is found out before anything is drawn.
    """
    started_s, path = time.monotonic(), Path(options.output)
    validate_output(path)
    size, total = (options.width, options.height), _STEPS_BEFORE + PASSES + _STEPS_AFTER
    scene = load_scene(source, order=options.order)
    progress(1, total)
    at = options.at if source.comparison is None else with_difference(options.at)
    view = parse_view(at, View(choose_camera(Renderer(scene), free_aspect(*size))))
    show_view(scene, source.ram, view)
    if view.glow:
        show_glow(scene, source, view.glow)
    progress(_STEPS_BEFORE, total)
    picture = render_scene(
        scene,
        size,
        camera=view.camera,
        title=source.title,
        on_pass=lambda done: progress(_STEPS_BEFORE + done, total),
    )
    write_picture(picture, path)
    progress(total, total)
    return SnapResult(str(path), *size, format_view(view), source.title, time.monotonic() - started_s)
