"""What a live picture says of itself: names of what is seen, what colours mean, what stands over several machines."""

from __future__ import annotations

from collections.abc import Sequence

from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.wire import live_records as wire

from ..picture.arcs import place_arcs
from ..picture.legend import count_pages, find_all_labels, legend_classes, name_labels
from ..picture.legend_entries import GLOW, glow_bytes, legend_entries, scale_ticks
from ..render.raymarch import Renderer
from ..render.scene import Scene
from ..sources.flows import Arc
from ..view.camera import Camera
from ..view.look import Mode, value_ramp
from ..view.palette import GLOW_COLOUR, Rgb, colour_of


def words_of(renderer: Renderer, camera: Camera, size: tuple[int, int]) -> wire.Words:
    """Names of what is seen in a picture of `size`."""
    width, height = size
    labels = find_all_labels(renderer.scenes, renderer.pick(camera, size), beside_legend=False)
    return wire.Words(
        tuple(
            wire.Word(label.text, _hex(label.colour), label.x / width, label.y / height, label.size) for label in labels
        )
    )


def several_of(
    scenes: Sequence[Scene], arcs: Sequence[Arc], active: int, camera: Camera, size: tuple[int, int]
) -> wire.Several:
    """What stands over the machines of `scenes`: their names, that of number `active` among them, and `arcs` between them."""
    width, height = size
    cubes = []
    for number, scene in enumerate(scenes):
        for label in name_labels([scene], camera, size, (0.0, 0.0)):
            cube = wire.Cube(scene.name, label.x / width, label.y / height, number == active, scene.is_ended)
            cubes.append(cube)
    placed = [
        wire.ArcPath(
            tuple((round(x / width, 4), round(y / height, 4)) for x, y in arc.path.tolist()),
            arc.words,
            round(arc.strength, 2),
            arc.width,
            arc.is_below,
        )
        for arc in place_arcs(scenes, arcs, camera, size, (0.0, 0.0))
    ]
    return wire.Several(tuple(cubes), tuple(placed))


def legend_of(scenes: Sequence[Scene], view: str) -> wire.Legend:
    """What colours mean, and what stands out; `view` is the text of what is shown."""
    look = scenes[0].look
    if look.mode is Mode.CLASS:
        counts = count_pages(*scenes)
        rows = [
            wire.Colour(each.label, _hex(colour_of(each, look.palette)), counts[each] * PAGE_SIZE)
            for each in legend_classes(*scenes)
        ]
    elif entries := legend_entries(*scenes):
        rows = [wire.Colour(entry.label, _hex(entry.colour), entry.size_bytes) for entry in entries]
    else:
        ramp = value_ramp(look)
        rows = [
            wire.Colour(label, _hex(tuple(ramp[value].tolist())), None)
            for value, label in scale_ticks(look.mode, look.transfer)
        ]
    if (glowing := glow_bytes(*scenes)) is not None:
        rows.append(wire.Colour(GLOW, _hex(GLOW_COLOUR), glowing))
    shown = next((title for title, _ in (scene.highlighted for scene in scenes) if title), "")
    pages = sum(pages for _, pages in (scene.highlighted for scene in scenes))
    return wire.Legend(look.mode.label, tuple(rows), view, shown, pages * PAGE_SIZE)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
