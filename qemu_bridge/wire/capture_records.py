"""Records of captures: what one is, and what differs between two moments."""

from __future__ import annotations

from ..memory.addresses import PhysicalAddress, RamLayout, RamOffset, RamRegion
from .records import Owner, Record


class Manifest(Record, frozen=True):
    """The ``manifest.json`` of a capture; sizes in bytes, addresses guest-physical, times in seconds since 1970.

    Attributes:
        grade: ``paused`` if the guest was paused while RAM was copied, ``live`` if it ran.
        paused_s: how long the guest was paused for it; 0 if it was not, or was paused already.
        regions: (first address, offset in ``ram``, size) of each run of RAM.
        checksums: CRC-32 of each file but ``ram``, by name; that of ``ram`` leaves out pages of zeros.
    """

    name: str
    taken_at: float
    grade: str
    paused_s: float
    machine: str
    accelerator: str
    image: str
    ram_bytes: int
    regions: tuple[tuple[int, int, int], ...]
    release: str
    build_id: str
    kaslr_offset: int
    glassbox: str
    checksums: dict[str, int]
    skipped: tuple[str, ...] = ()

    @property
    def layout(self) -> RamLayout:
        """Where the bytes of ``ram`` appear in the guest."""
        return RamLayout(tuple(RamRegion(PhysicalAddress(a), RamOffset(b), c) for a, b, c in self.regions))


class ClassDifference(Record, frozen=True):
    """How many pages of a class changed, appeared or are gone between two moments, as in `ChangedRange`.

    `page_class` is the class at the second moment; of pages that are gone, the class at the first.
    """

    page_class: str
    changed: int
    appeared: int
    gone: int


class ChangedRange(Record, frozen=True):
    """Adjacent pages with the same change.

    Attributes:
        first, last: offsets in the RAM file of the first and of the last byte.
        pages: their number.
        change: ``changed``, ``appeared`` (it held only zeros before) or ``gone`` (it holds only zeros now).
    """

    first: int
    last: int
    pages: int
    change: str


class MemoryDifference(Record, frozen=True):
    """The difference between two moments of a machine's memory.

    Attributes:
        pages, differing_pages: of the RAM file, and how many of them differ.
        classes: counts by class, most first.
        owners_appeared, owners_gone: owners of pages at the second moment only, and at the first only.
        ranges: all that differ, with `pages` of `compare`: changed ones first, then appeared, then gone.
    """

    pages: int
    differing_pages: int
    classes: tuple[ClassDifference, ...]
    owners_appeared: tuple[Owner, ...]
    owners_gone: tuple[Owner, ...]
    ranges: tuple[ChangedRange, ...] = ()
