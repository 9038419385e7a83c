"""Colours of the page classes: stable, and distinguished by colour-blind eyes.

Cool colours are the kernel's, warm ones those of processes and their files, yellow the page tables between them. Hues follow
Okabe and Ito, "Color Universal Design" (2008), moved apart in lightness so that neighbours differ without
hue as well. Pages of two processes differ a little inside the colour of their class (`owner_shade`).

A material says how a brick is built: its `surface_opacity` (1 is solid, below that glass), how much the bytes inside
show on it (`texture`), and how much light it emits (`emission`), so that a lone heap page is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.records import PageClass

Rgb = tuple[int, int, int]
CLASS_SLOTS = 32
"""Number of classes that the palette holds."""
LAST_CLASS = 29
"""The highest class a page-table entry can name; the two bits above it in masks of classes mean lit and marked pages."""
RAMP_STEPS = 256
GLOW_COLOUR: Rgb = (255, 255, 255)
"""Of a page just written: white, as every hue is that of a class, and brightness is seen by all eyes."""
HIGHLIGHT_COLOUR: Rgb = (255, 232, 97)
"""Of pages that stand out, as the shader has it."""
DIMMED_OPACITY = 0.025
"""What is left of a dimmed class: empty glass so thin that one looks through all of it."""


@dataclass(frozen=True, slots=True)
class Material:
    """How pages of a class look: sRGB colour 0-255, the rest 0 to 1."""

    colour: Rgb
    surface_opacity: float = 1.0
    texture: float = 0.6
    emission: float = 0.0
    bytes_inside: float = 0.0

    @property
    def is_body(self) -> bool:
        """Whether a brick of it is opaque or shows its bytes, rather than being background glass."""
        return self.surface_opacity == 1 or self.bytes_inside > 0


MATERIALS: dict[PageClass, Material] = {
    PageClass.UNTOUCHED: Material((40, 46, 58), surface_opacity=0.0),
    PageClass.ZERO: Material((96, 110, 138), surface_opacity=0.03, texture=0.0),
    PageClass.OTHER: Material((138, 150, 172), surface_opacity=0.10, texture=0.3),
    PageClass.KERNEL_TEXT: Material((30, 120, 200)),
    PageClass.KERNEL_RODATA: Material((120, 200, 240)),
    PageClass.KERNEL_DATA: Material((0, 158, 115)),
    PageClass.PAGE_TABLE: Material((240, 228, 66), surface_opacity=0.3, bytes_inside=1.0, emission=0.25),
    PageClass.PROCESS_TEXT: Material((213, 94, 0), emission=0.25),
    PageClass.PROCESS_HEAP: Material((255, 45, 120), surface_opacity=0.3, bytes_inside=1.0, emission=0.45),
    PageClass.PROCESS_STACK: Material((255, 170, 30), surface_opacity=0.3, bytes_inside=1.0, emission=0.45),
    PageClass.PROCESS_FILE: Material((190, 120, 200), emission=0.2),
    PageClass.PROCESS_ANONYMOUS: Material((255, 175, 175), surface_opacity=0.3, bytes_inside=1.0, emission=0.3),
    PageClass.KERNEL_STACK: Material((140, 80, 255), surface_opacity=0.3, bytes_inside=1.0, emission=0.45),
    PageClass.MODULE: Material((64, 40, 140), emission=0.15),
    PageClass.HUGE_PAGE: Material((120, 55, 40), emission=0.15),
    # Glass: there is much of it, and it surrounds what catches the eye.
    PageClass.FREE: Material((96, 110, 138), surface_opacity=0.02, texture=0.0),
    PageClass.RESERVED: Material((110, 104, 128), surface_opacity=0.06, texture=0.1),
    PageClass.MEMMAP: Material((120, 150, 210), surface_opacity=0.08, texture=0.2),
    PageClass.KERNEL_BSS: Material((60, 170, 140), surface_opacity=0.16, texture=0.3),
    PageClass.KERNEL_INIT: Material((90, 150, 140), surface_opacity=0.10, texture=0.3),
    PageClass.PER_CPU: Material((40, 190, 170), surface_opacity=0.18, texture=0.3),
    PageClass.SLAB: Material((64, 180, 190), surface_opacity=0.14, texture=0.4),
    PageClass.VMALLOC: Material((110, 120, 220), surface_opacity=0.12, texture=0.3),
    PageClass.KERNEL_PAGES: Material((90, 140, 190), surface_opacity=0.12, texture=0.3),
    PageClass.PAGE_CACHE: Material((215, 180, 140), surface_opacity=0.10, texture=0.3),
    PageClass.SHMEM: Material((205, 165, 175), surface_opacity=0.10, texture=0.3),
    PageClass.ZERO_PAGE: Material((235, 235, 225), surface_opacity=0.18, texture=0.0),
    PageClass.KSM: Material((240, 190, 120), surface_opacity=0.18, texture=0.3),
}

TABLE = np.dtype(
    [("colours", "<f4", (CLASS_SLOTS, 4)), ("materials", "<f4", (CLASS_SLOTS, 4)), ("ramp", "<f4", (RAMP_STEPS, 4))]
)

DEFAULT = "default"
PALETTES: dict[str, dict[PageClass, Rgb]] = {
    DEFAULT: {},
    # Found by a search that keeps hues where it can, for the least CIE 1976 difference of 22 between any two classes
    # that catch the eye, as seen with normal and with red-blind or green-blind eyes (the second: blue-blind).
    "red-green": {
        PageClass.KERNEL_TEXT: (68, 138, 220),
        PageClass.KERNEL_RODATA: (120, 198, 240),
        PageClass.KERNEL_DATA: (7, 160, 123),
        PageClass.PAGE_TABLE: (255, 255, 107),
        PageClass.PROCESS_TEXT: (213, 95, 1),
        PageClass.PROCESS_HEAP: (255, 26, 102),
        PageClass.PROCESS_STACK: (255, 168, 21),
        PageClass.PROCESS_FILE: (164, 90, 152),
        PageClass.PROCESS_ANONYMOUS: (253, 184, 196),
        PageClass.KERNEL_STACK: (138, 79, 254),
        PageClass.MODULE: (70, 64, 174),
        PageClass.HUGE_PAGE: (126, 61, 40),
    },
    "blue-yellow": {
        PageClass.KERNEL_TEXT: (36, 118, 198),
        PageClass.KERNEL_RODATA: (119, 201, 242),
        PageClass.KERNEL_DATA: (131, 180, 131),
        PageClass.PAGE_TABLE: (255, 246, 88),
        PageClass.PROCESS_TEXT: (201, 95, 4),
        PageClass.PROCESS_HEAP: (255, 44, 120),
        PageClass.PROCESS_STACK: (252, 166, 26),
        PageClass.PROCESS_FILE: (188, 119, 196),
        PageClass.PROCESS_ANONYMOUS: (255, 192, 196),
        PageClass.KERNEL_STACK: (147, 82, 255),
        PageClass.MODULE: (79, 64, 163),
        PageClass.HUGE_PAGE: (126, 61, 45),
    },
}
# Ramps grow lighter from end to end, so they order values without hue as well; sRGB colours at even steps.
_RAMPS: dict[str, tuple[Rgb, ...]] = {
    DEFAULT: ((18, 20, 58), (52, 58, 142), (38, 122, 158), (62, 178, 122), (186, 212, 60), (255, 244, 190)),
    "red-green": ((6, 22, 66), (42, 66, 122), (98, 104, 122), (152, 142, 110), (212, 188, 76), (255, 240, 170)),
    "blue-yellow": ((38, 6, 18), (110, 16, 34), (182, 48, 42), (226, 112, 88), (240, 176, 160), (255, 240, 236)),
}
OWNER_COLOURS: tuple[Rgb, ...] = (
    (65, 110, 200),
    (245, 130, 40),
    (60, 175, 70),
    (235, 60, 215),
    (245, 220, 50),
    (220, 35, 45),
    (60, 215, 230),
    (130, 65, 215),
    (150, 95, 40),
    (250, 165, 190),
    (15, 125, 120),
    (185, 240, 60),
    (190, 170, 250),
    (120, 120, 20),
    (150, 235, 190),
    (140, 20, 75),
)
"""Of the largest owners: each has a name of its own in plain words, from blue and orange to mint and maroon."""
MOST_HOLDERS = 4
"""Machines with the same page that are told apart: what more of them hold has the colour of so many."""
EQUAL_STEP = 85
EQUAL_COLOURS: tuple[Rgb, ...] = ((70, 78, 92), (80, 190, 255), (255, 200, 40), (255, 250, 225))
"""Of pages that one machine holds, two, three, and four or more."""
DIFFERENCE_COLOURS: tuple[Rgb, ...] = ((70, 78, 92), (255, 200, 40), (80, 190, 255), (235, 90, 130))
"""Same, changed, appeared, gone."""
LEARNED_COLOURS: tuple[Rgb, ...] = ((70, 78, 92), (150, 110, 220), (80, 190, 255), (255, 200, 40), (235, 60, 90))
"""Of pages without learned loops, and of those with one: learned, proved, run in place, refused."""


def material(page_class: int) -> Material:
    """The material of a class number; a class newer than this program looks like `OTHER`."""
    try:
        return MATERIALS[PageClass(page_class)]
    except (ValueError, KeyError):
        return MATERIALS[PageClass.OTHER]


def to_linear(colour: Rgb | npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Linear light 0-1 of an sRGB colour 0-255 (IEC 61966-2-1)."""
    encoded = np.asarray(colour, np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def colour_of(page_class: int, name: str = DEFAULT) -> Rgb:
    """The colour of a class number in the palette `name`."""
    usual = material(page_class).colour
    try:
        return PALETTES[name].get(PageClass(page_class), usual)
    except ValueError:
        return usual


def ramp(name: str = DEFAULT) -> npt.NDArray[np.uint8]:
    """Colours of values 0 to 255, from low to high: sRGB, `uint8` of shape (256, 3)."""
    anchors = np.asarray(_RAMPS[name], np.float64)
    places = np.linspace(0, len(anchors) - 1, RAMP_STEPS)
    steps = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.round(np.stack(steps, axis=-1)).astype(np.uint8)


def owner_ramp(name: str = DEFAULT) -> npt.NDArray[np.uint8]:
    """Colours of the slots of `viewer.view.owner_slots`: sRGB, `uint8` of shape (256, 3).

    No owner is grey. The largest owners have `OWNER_COLOURS`, in the other palettes, in which hues would not do, steps of their
    ramp far from each other. All others are dull, so that they are not taken for one of these.
    """
    large = len(OWNER_COLOURS)
    number = np.arange(RAMP_STEPS)
    light = 58 + number * 97 % 64
    colours = np.stack([light, light + 8, light + 20], axis=-1)
    if name == DEFAULT:
        colours[1 : large + 1] = OWNER_COLOURS
    else:
        # 7 and 16 have no factor in common: each step once, the next one far away.
        colours[1 : large + 1] = ramp(name)[48 + np.arange(large) * 7 % large * 207 // (large - 1)]
    colours[0] = (104, 110, 120)
    return colours.astype(np.uint8)


def difference_ramp() -> npt.NDArray[np.uint8]:
    """`DIFFERENCE_COLOURS` at values 0, 85, 170 and 255: `uint8` of shape (256, 3)."""
    return _steps(DIFFERENCE_COLOURS)


def equal_ramp() -> npt.NDArray[np.uint8]:
    """`EQUAL_COLOURS`, likewise."""
    return _steps(EQUAL_COLOURS)


def learned_ramp() -> npt.NDArray[np.uint8]:
    """`LEARNED_COLOURS` at the values that `step_values` gives their places: `uint8` of shape (256, 3)."""
    return _steps(LEARNED_COLOURS)


def step_values(places: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """The values 0-255 at which a ramp of `count` steps has the colour of each place."""
    return (places.astype(np.uint16) * 255 // (count - 1)).astype(np.uint8)


def _steps(colours: tuple[Rgb, ...]) -> npt.NDArray[np.uint8]:
    return np.asarray(colours, np.uint8)[(np.arange(RAMP_STEPS) * (len(colours) - 1) + 127) // 255]


def table(
    name: str = DEFAULT,
    dimmed: frozenset[PageClass] = frozenset(),
    steps: npt.NDArray[np.uint8] | None = None,
    *,
    all_glass: bool = False,
) -> npt.NDArray[np.void]:
    """The palette as the shader reads it: one `TABLE` record, in linear light.

    Per class a colour and its surface_opacity, and (texture, emission, bytes inside, 0); then the colours of values 0 to 255, `steps`
    or the palette's ramp. Dimmed classes, or all of them with `all_glass`, are hardly there.
    """
    record = np.zeros(1, TABLE)
    for number in range(CLASS_SLOTS):
        look = material(number)
        is_dimmed = all_glass or number in dimmed
        surface_opacity = min(look.surface_opacity, DIMMED_OPACITY) if is_dimmed else look.surface_opacity
        record["colours"][0, number] = (*to_linear(colour_of(number, name)), surface_opacity)
        record["materials"][0, number] = (
            (0, 0, 0, 0) if is_dimmed else (look.texture, look.emission, look.bytes_inside, 0)
        )
    record["ramp"][0, :, :3] = to_linear(ramp(name) if steps is None else steps)
    return record


def owner_shade(owner_ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """A stable shade 0-255 for each owner id: 128 for no owner (id 0), well spread for consecutive ids.

    Multiplicative hashing by the golden ratio (Knuth, TAOCP volume 3, 6.4) spreads any run of numbers.
    """
    spread = owner_ids.astype(np.uint32) * np.uint32(2654435769) >> np.uint32(24)
    return np.where(owner_ids == 0, np.uint32(128), spread).astype(np.uint32)
