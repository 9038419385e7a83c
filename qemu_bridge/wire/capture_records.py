"""Records of captures: what one is, and what differs between two moments."""

from __future__ import annotations

from ..memory.addresses import PhysicalAddress, RamLayout, RamOffset, RamRegion
from .records import Owner, Record


class Manifest(Record, frozen=True):
    """What the ``manifest.json`` of a capture says; sizes in bytes, addresses guest-physical, times in seconds since 1970.

    Attributes:
        grade: ``paused`` if the guest stood still while it was copied, ``live`` if it went on.
        paused_s: how long it was made to stand still; 0 if it was not, or stood still already.
        regions: (first address, offset in ``ram``, size) of each run of RAM.
        checksums: CRC-32 of each file but ``ram``, by name; of ``ram`` over what is no hole.
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
    """How many pages of a class differ between two moments, by what became of them.

    `page_class` is what the pages are at the second moment, of those that are gone what they were.
    """

    page_class: str
    changed: int
    appeared: int
    gone: int


class ChangedRange(Record, frozen=True):
    """Neighbouring pages of one fate: guest RAM file offsets of the first and last byte, and how many pages."""

    first: int
    last: int
    pages: int
    change: str


class MemoryDifference(Record, frozen=True):
    """What differs between two moments of a machine's memory: counts by class, owners that came and went, and ranges."""

    pages: int
    differing_pages: int
    classes: tuple[ClassDifference, ...]
    owners_appeared: tuple[Owner, ...]
    owners_gone: tuple[Owner, ...]
    ranges: tuple[ChangedRange, ...] = ()
