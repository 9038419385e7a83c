"""Where the kernel may execute, and whose code is there.

Code is the image's, a module's, or was made by the kernel while it runs, by BPF, ftrace or kprobes. All of the latter is in the part of the
address space where modules are, in areas that remember the function that asked for them (``mm/vmalloc.c``), for a module
``load_module``. In newer releases, seen from 6.17 on, modules and what the kernel makes share such areas, and then it is not told whose a page is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property

import numpy as np

from ...errors import AddressError
from ...kernel.columns import KernelColumns
from ...kernel.symbols import KernelSection
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE
from ...memory.page_entries import NO_EXECUTE, PRESENT
from ...memory.paging import Half, Mappings
from ..classes.areas import VmapArea, modules_start, vmap_areas
from ..overlays import OverlayContext

_LOADERS = ("load_module", "move_module", "module_alloc", "module_memory_alloc", "layout_and_allocate")
Range = tuple[int, int]
"""Addresses from the first up to but not including the second."""


class KernelCode:
    """All that the kernel may execute, as of now.

    Attributes:
        text: the image's text; None where symbols do not say.
    """

    def __init__(self, context: OverlayContext) -> None:
        self._context = context
        self._symbols = context.symbols
        self.text: KernelSection | None = next(
            (section for section in context.kernel.sections() if section.name == "text"), None
        )

    @classmethod
    def of(cls, context: OverlayContext) -> KernelCode:
        """That of `context`, one until it forgets: several looks need it."""
        return context.kept(cls, lambda: cls(context))

    @cached_property
    def read(self) -> KernelColumns:
        """A reader of many fields at once."""
        return KernelColumns(self._context.ram, self._context.kernel)

    @cached_property
    def mappings(self) -> Mappings:
        """All that the kernel maps."""
        return self._context.page_tables.mappings(Half.KERNEL)

    @cached_property
    def areas(self) -> list[VmapArea]:
        """The areas of vmalloc."""
        return vmap_areas(self.read)

    @cached_property
    def made(self) -> list[Range]:
        """Areas for code that a function of the image asked for, other than to load a module."""
        first = modules_start(self._context.kernel)
        return [(area.start, area.end) for area in self.areas if area.start >= first and self._is_for_kernel(area)]

    @cached_property
    def modules(self) -> list[Range]:
        """The text of the modules that the kernel lists."""
        return [(base, base + size) for module in self._symbols.modules for base, size in module.parts[:1]]

    def is_image(self, address: int) -> bool:
        """Whether an address is in the text of the kernel image; True where it is not known where that is."""
        return self.text is None or self.text.start <= address < self.text.end

    def is_in_image(self, address: int) -> bool:
        """Whether an address is anywhere in the kernel image, what it needed to start included."""
        start, end = (self._symbols.kernel.kallsyms.address_of(edge) for edge in ("_text", "_end"))
        return start is None or end is None or start <= address < end

    def is_module(self, address: int) -> bool:
        """Whether an address is in the text of a module that the kernel lists."""
        return _is_in(address, self.modules)

    def is_made(self, address: int) -> bool:
        """Whether an address is in code that the kernel made, and of no module that it lists."""
        return _is_in(address, self.made) and not self.is_module(address)

    def outside(self, owned: Iterable[Range] = ()) -> list[Range]:
        """Runs of pages that the kernel may execute, but for the image, what the kernel made, and `owned`."""
        executable = (self.mappings.flags & PRESENT != 0) & (self.mappings.flags & NO_EXECUTE == 0)
        order = np.argsort(self.mappings.virtual[executable], kind="stable")
        starts, levels = self.mappings.virtual[executable][order], self.mappings.level[executable][order]
        sizes = np.uint64(PAGE_SIZE) << (np.uint64(9) * (levels.astype(np.uint64) - np.uint64(1)))
        is_free = np.ones(len(starts), np.bool_)
        for start, end in (*self._image(), *self._real_mode(), *self._next_kernels(), *self.made, *owned):
            if 0 <= start < end < 1 << 64:
                is_free &= (starts + sizes <= np.uint64(start & -PAGE_SIZE)) | (starts >= np.uint64(end))
        return _runs(starts[is_free].tolist(), sizes[is_free].tolist())

    def name(self, address: int) -> str:
        """Symbol and module of an address for a sentence, or that it has none."""
        if self._symbols.module_of(address) is None and not self.is_in_image(address):
            return "in no module that the kernel lists, and not in its image"
        return self._symbols.describe(address)

    def asked_for(self, address: int) -> str:
        """Who asked for the area that holds an address, for a sentence."""
        area = next((area for area in self.areas if area.start <= address < area.end), None)
        if area is None:
            return "it is no area of vmalloc"
        return f"{self.read.name_at(area.caller) or hex(area.caller)} asked for it"

    def _image(self) -> Iterator[Range]:
        if self.text is not None:
            yield self._context.objects.address_of("_text") or self.text.start, self.text.end

    def _real_mode(self) -> Iterator[Range]:
        """Yield where the code is that starts other processors, and wakes this one (``arch/x86/realmode/init.c``)."""
        space = self._context.objects
        pointer, first, last = map(space.address_of, ("real_mode_header", "real_mode_blob", "real_mode_blob_end"))
        if pointer and 0 < first < last:
            start = space.unsigned(pointer)
            yield start, start + last - first

    def _next_kernels(self) -> Iterator[Range]:
        """Yield the page of code that would start another kernel, of each that is loaded (``arch/x86/kernel/machine_kexec_64.c``)."""
        space = self._context.objects
        if not space.has("kimage", "control_code_page"):
            return
        for name in ("kexec_image", "kexec_crash_image"):
            with suppress(AddressError):
                pointer = space.address_of(name)
                image = space.unsigned(pointer) if pointer else 0
                record = space.at("kimage", image)["control_code_page"] if image else 0
                if record > self.read.vmemmap:
                    frame = (record - self.read.vmemmap) // space.size("page")
                    start = self.read.page_offset + (frame << PAGE_SHIFT)
                    yield start, start + PAGE_SIZE

    def _is_for_kernel(self, area: VmapArea) -> bool:
        start, end = map(self._context.objects.address_of, ("_text", "_etext"))
        return start <= area.caller < end and self.read.name_at(area.caller).partition(".")[0] not in _LOADERS


def _is_in(address: int, ranges: Iterable[Range]) -> bool:
    return any(start <= address < end for start, end in ranges)


def _runs(starts: list[int], sizes: list[int]) -> list[Range]:
    """Pages as runs."""
    runs: list[Range] = []
    for start, size in zip(starts, sizes, strict=True):
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], start + size)
        else:
            runs.append((start, start + size))
    return runs
