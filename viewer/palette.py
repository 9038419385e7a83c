"""Colours of the page classes: stable, and told apart by colour-blind eyes.

Cool colours are the kernel's, warm ones those of processes and their files, yellow the page tables between them. Hues follow
Okabe and Ito, "Color Universal Design" (2008), moved apart in lightness so that neighbours differ without
hue as well. Pages of two processes differ a little inside the colour of their class (`owner_shade`).

A material says how a brick is built: its `hull` (1 is solid, below that glass), how much the bytes inside
show on it (`texture`), and how much it shines by itself (`glow`), so that a lone heap page is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qemu_bridge.protocol import PageClass

Rgb = tuple[int, int, int]
CLASS_SLOTS = 32
"""Classes a page-table entry can name."""


@dataclass(frozen=True, slots=True)
class Material:
    """How pages of a class look: sRGB colour 0-255, the rest 0 to 1."""

    colour: Rgb
    hull: float = 1.0
    texture: float = 0.6
    glow: float = 0.0
    bytes_inside: float = 0.0

    @property
    def is_body(self) -> bool:
        """Whether a brick of it catches the eye, rather than being background glass."""
        return self.hull == 1 or self.bytes_inside > 0


MATERIALS: dict[PageClass, Material] = {
    PageClass.UNTOUCHED: Material((40, 46, 58), hull=0.0),
    PageClass.ZERO: Material((96, 110, 138), hull=0.03, texture=0.0),
    PageClass.OTHER: Material((138, 150, 172), hull=0.10, texture=0.3),
    PageClass.KERNEL_TEXT: Material((30, 120, 200)),
    PageClass.KERNEL_RODATA: Material((120, 200, 240)),
    PageClass.KERNEL_DATA: Material((0, 158, 115)),
    PageClass.PAGE_TABLE: Material((240, 228, 66), hull=0.3, bytes_inside=1.0, glow=0.25),
    PageClass.PROCESS_TEXT: Material((213, 94, 0), glow=0.25),
    PageClass.PROCESS_HEAP: Material((255, 45, 120), hull=0.3, bytes_inside=1.0, glow=0.45),
    PageClass.PROCESS_STACK: Material((255, 170, 30), hull=0.3, bytes_inside=1.0, glow=0.45),
    PageClass.PROCESS_FILE: Material((190, 120, 200), glow=0.2),
    PageClass.PROCESS_ANONYMOUS: Material((255, 175, 175), hull=0.3, bytes_inside=1.0, glow=0.3),
    PageClass.KERNEL_STACK: Material((140, 80, 255), hull=0.3, bytes_inside=1.0, glow=0.45),
    PageClass.MODULE: Material((64, 40, 140), glow=0.15),
    PageClass.HUGE_PAGE: Material((120, 55, 40), glow=0.15),
    # Glass: there is much of it, and it surrounds what catches the eye.
    PageClass.FREE: Material((96, 110, 138), hull=0.02, texture=0.0),
    PageClass.RESERVED: Material((110, 104, 128), hull=0.06, texture=0.1),
    PageClass.MEMMAP: Material((120, 150, 210), hull=0.08, texture=0.2),
    PageClass.KERNEL_BSS: Material((60, 170, 140), hull=0.16, texture=0.3),
    PageClass.KERNEL_INIT: Material((90, 150, 140), hull=0.10, texture=0.3),
    PageClass.PER_CPU: Material((40, 190, 170), hull=0.18, texture=0.3),
    PageClass.SLAB: Material((64, 180, 190), hull=0.14, texture=0.4),
    PageClass.VMALLOC: Material((110, 120, 220), hull=0.12, texture=0.3),
    PageClass.KERNEL_PAGES: Material((90, 140, 190), hull=0.12, texture=0.3),
    PageClass.PAGE_CACHE: Material((215, 180, 140), hull=0.10, texture=0.3),
    PageClass.SHMEM: Material((205, 165, 175), hull=0.10, texture=0.3),
    PageClass.ZERO_PAGE: Material((235, 235, 225), hull=0.18, texture=0.0),
    PageClass.KSM: Material((240, 190, 120), hull=0.18, texture=0.3),
}

TABLE = np.dtype([("colours", "<f4", (CLASS_SLOTS, 4)), ("looks", "<f4", (CLASS_SLOTS, 4))])


def material(page_class: int) -> Material:
    """The material of a class number; a class newer than this program looks like `OTHER`."""
    try:
        return MATERIALS[PageClass(page_class)]
    except (ValueError, KeyError):
        return MATERIALS[PageClass.OTHER]


def to_linear(colour: Rgb) -> npt.NDArray[np.float32]:
    """Linear light 0-1 of an sRGB colour 0-255 (IEC 61966-2-1)."""
    encoded = np.asarray(colour, np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def table() -> npt.NDArray[np.void]:
    """The palette as the shader reads it: one `TABLE` record of linear colours and (texture, glow, bytes inside) per class."""
    record = np.zeros(1, TABLE)
    for number in range(CLASS_SLOTS):
        look = material(number)
        record["colours"][0, number] = (*to_linear(look.colour), look.hull)
        record["looks"][0, number] = (look.texture, look.glow, look.bytes_inside, 0)
    return record


def owner_shade(owner_ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """A stable shade 0-255 for each owner id: 128 for nobody (id 0), well spread for consecutive ids.

    Multiplicative hashing by the golden ratio (Knuth, TAOCP volume 3, 6.4) spreads any run of numbers.
    """
    spread = owner_ids.astype(np.uint32) * np.uint32(2654435769) >> np.uint32(24)
    return np.where(owner_ids == 0, np.uint32(128), spread).astype(np.uint32)
