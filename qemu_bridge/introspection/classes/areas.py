"""The kernel's own areas: image, per-CPU memory, stacks, modules, vmalloc.

What the memmap calls reserved or held by the kernel gets its name here. Where each area is follows from symbols, from the
kernel's page tables, and of vmalloc from the tree of ``struct vmap_area`` (``mm/vmalloc.c``), whose entries remember the
function that asked for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernel.columns import IMAGE_BASE, KernelColumns, Pages, U64Array
from ...kernel.symbols import KernelSymbols
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE
from ...wire.records import PageClass
from .owners import KERNEL, OwnerBook
from .tasks import Task
from .walk import Walk

MODULES_END = 0xFFFFFFFFFF000000
_SECTION_CLASSES = {
    "text": PageClass.KERNEL_TEXT,
    "rodata": PageClass.KERNEL_RODATA,
    "data": PageClass.KERNEL_DATA,
    "init": PageClass.KERNEL_INIT,
    "bss": PageClass.KERNEL_BSS,
}
_MAX_IMAGE = 1 << 30
_MAX_PER_CPU = 1 << 30
_MAX_VMAP_AREAS = 1 << 17
_MAX_VMAP_NODES = 1 << 10
_MAX_TREE_HEIGHT = 64
_MAX_MODULES = 1 << 12
_HUGE_PAGE = 2 << 20
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Extent:
    """Virtual addresses from `start` up to `end`, the class of the pages there and their owner."""

    start: int
    end: int
    page_class: PageClass
    owner: int


def modules_start(kernel: KernelSymbols) -> int:
    """Where modules begin: after the space reserved for the kernel image (``arch/x86/include/asm/pgtable_64_types.h``)."""
    size = kernel.info.number("KERNEL_IMAGE_SIZE")
    return IMAGE_BASE + (size if size is not None and 0 < size <= _MAX_IMAGE else 512 << 20)


def image_pages(read: KernelColumns) -> list[tuple[Pages, PageClass]]:
    """Pages of the kernel image with their classes; what is between the sections counts as data."""
    kernel = read.kernel
    names = kernel.kallsyms
    start, end = names.address_of("_text") or names.address_of("_stext"), names.address_of("_end")
    parts: list[tuple[Pages, PageClass]] = []
    if start is not None and end is not None:
        parts.append((_image_range(read, start, end), PageClass.KERNEL_DATA))
    parts += [(_image_range(read, s.start, s.end), _SECTION_CLASSES[s.name]) for s in kernel.sections()]
    if (zero := names.address_of("empty_zero_page")) is not None:
        parts.append((_image_range(read, zero, zero + PAGE_SIZE), PageClass.ZERO_PAGE))
    return parts


def _image_range(read: KernelColumns, start: int, end: int) -> Pages:
    """Pages of RAM behind addresses of the kernel image, which is in one piece."""
    shift = (read.kernel.info.number("phys_base") or 0) - IMAGE_BASE
    first, last = start + shift, min(end, start + _MAX_IMAGE) + shift
    if first < 0 or last <= first:
        return np.zeros(0, np.int64)
    frames = np.arange(first >> PAGE_SHIFT, (last - 1 >> PAGE_SHIFT) + 1, dtype=np.uint64)
    pages = read.ram.layout.frames_to_pages(frames)
    return pages[pages >= 0]


def per_cpu_pages(read: KernelColumns) -> Pages:
    """Pages of the first per-CPU chunk, which boot allocates for every processor (``mm/percpu.c``)."""
    base, units = read.symbol("pcpu_base_addr"), read.symbol("pcpu_nr_units", 4)
    size = units * read.symbol("pcpu_unit_size", 4)
    if not base or not 0 < size <= _MAX_PER_CPU:
        return np.zeros(0, np.int64)
    pages = read.pages(np.arange(base, base + size, PAGE_SIZE, dtype=np.uint64))
    return pages[pages >= 0]


def huge_zero_page(read: KernelColumns) -> list[Extent]:
    """The zero page of 2 MiB, allocated when a process first reads a huge page that was never written.

    ``mm/huge_memory.c`` of releases 6.1 and 6.12: huge_zero_pfn, all ones while there is none.
    """
    frame = read.symbol("huge_zero_pfn")
    if not frame or frame >= read.ram.layout.end >> PAGE_SHIFT:
        return []
    start = read.page_offset + (frame << PAGE_SHIFT)
    return [Extent(start, start + _HUGE_PAGE, PageClass.ZERO_PAGE, KERNEL.owner_id)]


def read_modules(read: KernelColumns, book: OwnerBook) -> list[Extent]:
    """The memory of every loaded module.

    Release 6.4 (ac3b43283923) split the core of a module into an array of pieces by kind.
    """
    head = read.address_of("modules")
    if head is None:
        return []
    link, name = read.offset("module", "list"), read.offset("module", "name")
    pieces = _module_pieces(read)
    extents = []
    for address in read.links(head, _MAX_MODULES):
        module = address - link
        owner = book.number("module", module, read.string(module + name & _U64, 64))
        for base_at, size_at in pieces:
            base, size = read.word(module + base_at & _U64), read.word(module + size_at & _U64, 4)
            if base and 0 < size <= _MAX_IMAGE:
                extents.append(Extent(base, base + size, PageClass.MODULE, owner))
    return extents


def _module_pieces(read: KernelColumns) -> list[tuple[int, int]]:
    """Offsets in ``struct module`` of the base and size of each piece of its memory."""
    btf = read.kernel.btf
    if (array := btf.find_member("module", "mem")) is not None:
        base, size = read.offset("module_memory", "base"), read.offset("module_memory", "size")
        step, count = btf.sizeof("module_memory"), min(btf.count(btf.resolve(array.type_id)), 16)
        return [(array.offset + step * number + base, array.offset + step * number + size) for number in range(count)]
    return [
        (read.offset("module", f"{part}.base"), read.offset("module", f"{part}.size"))
        for part in ("core_layout", "init_layout")
    ]


@dataclass(frozen=True, slots=True)
class VmapArea:
    """An area of vmalloc: virtual addresses from `start` up to `end`, and where it was asked for, 0 if that is unknown."""

    start: int
    end: int
    caller: int


def read_vmap_areas(read: KernelColumns, book: OwnerBook) -> list[Extent]:
    """The areas of vmalloc in use, each owned by the function that allocated it."""
    return [_vmap_extent(read, book, area) for area in vmap_areas(read)]


def vmap_areas(read: KernelColumns) -> list[VmapArea]:
    """The areas of vmalloc in use.

    Until release 6.8 they are in one tree; 6.9 (d093602919ad) spread them over ``vmap_nodes``.
    """
    at = {name: read.offset("vmap_area", name) for name in ("va_start", "va_end", "rb_node", "vm")}
    left, right = read.offset("rb_node", "rb_left"), read.offset("rb_node", "rb_right")
    caller_at = read.offset("vm_struct", "caller")
    found = [np.zeros(0, np.uint64)]
    node, total = _vmap_roots(read), 0
    for _ in range(_MAX_TREE_HEIGHT):
        node = node[node != 0]
        if not len(node) or total > _MAX_VMAP_AREAS:
            break
        total += len(node)
        found.append(node)
        node = read.fields(node, (left, 8), (right, 8)).ravel()
    area = np.concatenate(found)[:_MAX_VMAP_AREAS] - np.uint64(at["rb_node"])
    starts, ends, vms = read.fields(area, *((at[name], 8) for name in ("va_start", "va_end", "vm")))
    callers = np.where(vms != 0, read.u64(vms + np.uint64(caller_at)), 0)
    rows = zip(starts.tolist(), ends.tolist(), callers.tolist(), strict=True)
    return [VmapArea(*row) for row in rows if row[0] < row[1]]


def _vmap_roots(read: KernelColumns) -> U64Array:
    btf = read.kernel.btf
    if (root := read.address_of("vmap_area_root")) is not None:
        return np.array([read.word(root)], np.uint64)
    nodes, count = read.symbol("vmap_nodes"), min(read.symbol("nr_vmap_nodes", 4), _MAX_VMAP_NODES)
    if not nodes or btf.find("vmap_node") is None:
        return np.zeros(0, np.uint64)
    step, busy = btf.sizeof("vmap_node"), read.offset("vmap_node", "busy.root")
    return read.u64(np.uint64(nodes + busy) + np.arange(count, dtype=np.uint64) * np.uint64(step))


def _vmap_extent(read: KernelColumns, book: OwnerBook, area: VmapArea) -> Extent:
    name = read.name_at(area.caller) or "vmalloc"
    # Chunks of per-CPU memory that were added later (mm/percpu-vm.c).
    page_class = PageClass.PER_CPU if name == "pcpu_get_vm_areas" else PageClass.VMALLOC
    number = book.number("kernel", ("vmalloc", name), name, detail="asked for vmalloc memory")
    return Extent(area.start, area.end, page_class, number)


def read_stacks(tasks: Sequence[Task], size: int, book: OwnerBook) -> list[Extent]:
    """The kernel stack of every task."""
    return [
        Extent(
            task.stack,
            task.stack + size,
            PageClass.KERNEL_STACK,
            book.number("stack", task.tid, task.name, task.pid, f"thread {task.tid}"),
        )
        for task in tasks
        if task.stack
    ]


def name_mapped(walked: Walk, extents: Sequence[Extent]) -> tuple[Pages, npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Pages that the kernel maps in `extents`, with class and owner; of several extents the later in the list wins."""
    page_class, owner = np.zeros(len(walked.page), np.uint8), np.zeros(len(walked.page), np.uint32)
    # Virtual addresses ascend within a level; sorted once, each extent is a slice.
    order = np.argsort(walked.virtual, kind="stable")
    # Sums of numbers from the guest may leave the address space; skip such an extent.
    extents = [extent for extent in extents if 0 <= extent.start < extent.end <= _U64]
    bounds = np.array([(extent.start, extent.end) for extent in extents], np.uint64).reshape(-1, 2)
    first, last = (np.searchsorted(walked.virtual[order], column) for column in bounds.T)
    for extent, start, end in zip(extents, first.tolist(), last.tolist(), strict=True):
        page_class[order[start:end]], owner[order[start:end]] = extent.page_class, extent.owner
    known = page_class != 0
    return walked.page[known], page_class[known], owner[known]


def name_direct(
    read: KernelColumns, extents: Sequence[Extent]
) -> tuple[Pages, npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """The same for extents that are in the direct map or in the kernel image: stacks without CONFIG_VMAP_STACK."""
    low, high = read.page_offset, read.page_offset + read.ram.layout.end
    direct = [e for e in extents if low <= e.start < high or IMAGE_BASE <= e.start < IMAGE_BASE + _MAX_IMAGE]
    # No extent is larger than RAM, whatever the guest claims.
    sizes = [max(0, min(e.end - e.start, read.ram.size)) for e in direct]
    counts = np.array([-(-size // PAGE_SIZE) for size in sizes], np.int64)
    starts = np.array([e.start for e in direct], np.uint64)
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    pages = read.pages(np.repeat(starts, counts) + (within.astype(np.uint64) << np.uint64(PAGE_SHIFT)))
    classes = np.repeat(np.array([e.page_class for e in direct], np.uint8), counts)
    owners = np.repeat(np.array([e.owner for e in direct], np.uint32), counts)
    known = pages >= 0
    return pages[known], classes[known], owners[known]
