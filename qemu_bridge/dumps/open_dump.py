"""Find out what a file is: a dump of some tool, or bytes of RAM and nothing else.

LiME's raw mode glues the ranges of RAM together. Nearly always the first ends within a page, where firmware keeps its data
area, so that pages behind it are out of step. A kernel's note tells by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import UsageError
from ..memory.addresses import PAGE_SIZE
from . import elf_core, kdump, lime
from .dump import PIECE, Dump, Extent, Reader, stored_pieces

_FORMATS: tuple[tuple[bytes, Callable[[Reader], Dump]], ...] = (
    (elf_core.MAGIC, elf_core.open_elf_core),
    (lime.LIME, lime.open_lime),
    (lime.AVML, lime.open_avml),
    (kdump.MAGIC, kdump.open_kdump),
    (kdump.FLATTENED_MAGIC, lambda file: kdump.open_kdump(kdump.Flattened(file))),
)
_NOTE_NAME, _NOTE_NAME_AT = b"VMCOREINFO\0\0", 12
"""An ELF note's name, padded to whole words, and where it is in the page that the kernel keeps the note in."""
_LOW_MEMORY, _FIRMWARE_DATA = 1 << 20, 0x9F000
_UNREAD = {
    b"QEVM": "a saved state of QEMU, whose RAM is mixed with devices; run it and write a dump with dump-guest-memory",
    b"LibvirtQemudSave": "a machine saved by libvirt; restore it and use 'virsh dump --memory-only'",
    b"PAGEDU": "a crash dump of Windows; Glass Box reads Linux guests",
}


def open_dump(file: Reader) -> Dump | None:
    """The dump in `file`; None where it has no header known, as a raw image has none.

    `UsageError` for a format that cannot be read, and for a header that cannot be true.
    """
    head = file.read(0, 64)
    for mark, open_format in _FORMATS:
        if head.startswith(mark):
            return open_format(file)
    for mark, what in _UNREAD.items():
        if head.startswith(mark):
            raise UsageError(f"{file.name} is {what}")
    return _glued_ranges(file) if file.size % PAGE_SIZE else None


def _glued_ranges(file: Reader) -> Dump | None:
    """The dump in a file without headers whose pages are out of step by what its size is; None where they are not."""
    step = file.size % PAGE_SIZE
    if not any(place % PAGE_SIZE == (step + _NOTE_NAME_AT) % PAGE_SIZE for place in _note_names(file)):
        return None
    # RAM begins behind page 0; the rest lies from 1 MiB on, with holes that the kernel in it shows.
    low = _FIRMWARE_DATA + step - PAGE_SIZE
    parts = [Extent(PAGE_SIZE, low, 0, low), Extent(_LOW_MEMORY, file.size - low, low, file.size - low)]
    missing: list[str] = []
    return Dump(
        "raw RAM of LiME",
        ((0, _LOW_MEMORY + file.size - low),),
        lambda: stored_pieces(file, parts, missing),
        missing,
        False,
    )


def _note_names(file: Reader) -> Iterator[int]:
    """Yield where the file may hold a kernel's note: places of its name."""
    for at in range(0, file.size, PIECE):
        content = file.read(at, PIECE + len(_NOTE_NAME))
        place = content.find(_NOTE_NAME)
        while place >= 0:
            yield at + place
            place = content.find(_NOTE_NAME, place + 1)
