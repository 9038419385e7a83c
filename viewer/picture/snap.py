"""One picture of a machine or a capture, without a display: the library function behind ``glassbox snap``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from qemu_bridge.wire.picture_records import SnapOptions, SnapResult

from ..render.raymarch import PASSES, Renderer
from ..sources.comparison import with_difference
from ..sources.flows import Arc, FlowWatch
from ..sources.machine import open_machines
from ..sources.source import Source, name_of
from ..view.views import View, format_view, parse_view
from .legend import free_aspect
from .offscreen import (
    choose_camera,
    compare_content,
    load_scenes,
    render_scene,
    show_glows,
    show_learned,
    show_view,
    title_of,
    work_out_entropy,
)
from .output import validate_output, write_picture
from .shown_memory import bring

Progress = Callable[[int, int], None]
"""Takes how many steps are done, and of how many."""
_STEPS_BEFORE, _STEPS_AFTER = 2, 1


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


def snap_machine(
    name: str, options: SnapOptions, progress: Progress = no_progress, reading: Progress = no_progress
) -> SnapResult:
    """`snap` of the machine, or the capture's folder, `name`; `UnknownMachineError` if there is none.

    >>> snap_machine("demo", SnapOptions("demo.png", at="mode=entropy")).elapsed_s < 10
    True
    """
    return snap_machines((name,), options, progress, reading)


def snap_machines(
    names: Sequence[str], options: SnapOptions, progress: Progress = no_progress, reading: Progress = no_progress
) -> SnapResult:
    """`snap` of one machine or more, side by side; `UnknownMachineError` if one is not there.

    Of a machine on another host the memory that the picture shows is read, or all of it to compare it; `reading` is told how many bytes
    came, and of how many.
    """
    validate_output(Path(options.output))
    with ExitStack() as stack:
        opened = open_machines(names, options.against, is_followed=options.against is None, reading=reading)
        sources = [stack.enter_context(source) for source in opened]
        return snap(sources[0], options, progress, sources[1:])


def snap(
    source: Source, options: SnapOptions, progress: Progress = no_progress, others: Sequence[Source] = ()
) -> SnapResult:
    """Write a picture of `source`; its comparison, if it has one, is drawn unless `options.at` names another colouring.

    `others` stand beside it. Raises `UsageError` for a wrong view or order, `GraphicsError` without an adapter, and
    `GlassBoxError` where the file cannot be written, which is found out before anything is drawn.
    """
    started_s, path = time.monotonic(), Path(options.output)
    validate_output(path)
    size, total = (options.width, options.height), _STEPS_BEFORE + PASSES + _STEPS_AFTER
    sources = (source, *others)
    scenes = load_scenes(sources, options.order, with_bytes=False)
    progress(1, total)
    at = options.at if source.comparison is None else with_difference(options.at)
    view = parse_view(at, View(choose_camera(Renderer(*scenes), free_aspect(*size))))
    for each, scene in zip(sources, scenes, strict=True):
        show_view(scene, each.ram, view if each is source else replace(view, pin=None))
    bring(scenes, sources, view.camera, size)
    for each, scene in zip(sources, scenes, strict=True):
        work_out_entropy(scene, each.ram)
    compare_content(scenes, sources)
    show_learned(scenes, sources)
    if view.glow:
        show_glows(scenes, sources, view.glow)
    progress(_STEPS_BEFORE, total)
    title = title_of(sources)
    picture = render_scene(
        scenes[0],
        size,
        camera=view.camera,
        title=title,
        on_pass=lambda done: progress(_STEPS_BEFORE + done, total),
        others=scenes[1:],
        arcs=_recent_arcs(sources),
    )
    write_picture(picture, path)
    progress(total, total)
    return SnapResult(str(path), *size, format_view(view), title, time.monotonic() - started_s)


def _recent_arcs(sources: Sequence[Source]) -> list[Arc]:
    """What the machines sent each other just before; nothing for one machine."""
    if len(sources) == 1:
        return []
    flows = FlowWatch([name_of(source) for source in sources], lambda: None)
    flows.look()
    return flows.arcs()
