"""The page map of a kernel with types, kept up to date.

What a page is, is said by several sources, and `PageMapBuilder` keeps the word of each in columns of one entry per page:

1. the memmap: free, reserved, slab, file, anonymous, or just held by the kernel (`memmap`);
2. the kernel's own areas, which name what the memmap calls reserved or held: image, page tables, per-CPU memory, stacks,
   modules, vmalloc, the memmap itself (`areas`, `reach`);
3. the page tables of processes and their memory areas, which say who maps anonymous and file pages, and as what.

`_compose` joins them. Each source is looked at anew in each refresh, cheaply: it compares what it would decode with what it
decoded last, and only the pages whose word has changed are joined again. A page that was never touched and that nobody
owns stays "untouched", even where the kernel has it on its list of free pages.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from ...errors import NoTypesError
from ...kernel.columns import KernelColumns, Pages
from ...kernel.memmap import MemMap, among
from ...kernel.symbols import KernelSymbols
from ...memory.addresses import PAGE_SHIFT
from ...memory.page_entries import ENTRIES
from ...memory.ram import GuestRam
from ...wire.page_map import ENTRY, FLAG_MAPPED, FLAG_SHARED, ORDER_SHIFT, PageMap, Sharers
from ...wire.records import Grade, Owner, PageClass
from . import areas
from .files import FileNames, SlabNames
from .owners import FIRST_NUMBER, KERNEL, OwnerBook, owner_of
from .reach import Reach
from .tasks import Space, Task, TaskReader
from .walk import Walk, join, walk

PATHS_EVERY_S = 10.0
_MAX_OWNERS = 1 << 16
_USER, _KERNEL = slice(0, ENTRIES // 2), slice(ENTRIES // 2, ENTRIES)
_MIN_COVERAGE = 0.5


def _classes(*classes: PageClass) -> npt.NDArray[np.bool_]:
    """A set of classes, to `take` those of pages from."""
    table = np.zeros(256, np.bool_)
    table[list(classes)] = True
    return table


_FILES = PageClass.PAGE_CACHE, PageClass.SHMEM
_HELD = _classes(PageClass.RESERVED, PageClass.KERNEL_PAGES, PageClass.PAGE_TABLE, PageClass.OTHER)
_OWNED_BY_PROCESS = _classes(PageClass.PROCESS_ANONYMOUS, PageClass.KSM, PageClass.HUGE_PAGE, PageClass.KERNEL_PAGES)
_NEED_OWNER = _HELD | _classes(*_FILES, PageClass.SLAB)


class _Claims:
    """What one source says: a class, an owner and a level for some pages, 0 for those it does not know."""

    def __init__(self, count: int) -> None:
        self.page_class = np.zeros(count, np.uint8)
        self.owner = np.zeros(count, np.uint32)
        self.flags = np.zeros(count, np.uint8)
        self._pages = np.zeros(0, np.int64)

    def set(self, pages: Pages, page_class: npt.ArrayLike, owner: npt.ArrayLike, flags: npt.ArrayLike = 0) -> None:
        """Say something of `pages`; where a page stands twice, the last word counts."""
        self.page_class[pages], self.owner[pages], self.flags[pages] = page_class, owner, flags
        self._pages = np.concatenate([self._pages, pages])

    def clear(self) -> Pages:
        """Unsay everything; returns the pages it was said of."""
        pages, self._pages = self._pages, np.zeros(0, np.int64)
        self.page_class[pages], self.owner[pages], self.flags[pages] = 0, 0, 0
        return pages

    @property
    def pages(self) -> Pages:
        """The pages that something is said of, some of them more than once."""
        return self._pages


class PageMapBuilder:
    """Makes page maps of one guest, each from the one before. Not for several threads at a time.

    A kernel that restarts needs a new builder.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols) -> None:
        """Find what does not move; `NoTypesError` for a kernel whose memmap cannot be read: use `classify` then."""
        self._ram = ram
        self._kernel = kernel
        self._read = read = KernelColumns(ram, kernel)
        self._memmap = MemMap(read)
        if self._memmap.coverage < _MIN_COVERAGE:
            raise NoTypesError(
                "the kernel's memmap is not where its symbols say; use a kernel built with SPARSEMEM_VMEMMAP"
            )
        self._tasks = TaskReader(read)
        self._start_names()
        count = ram.page_count
        self._entries = np.zeros(count, ENTRY)
        self._nameless = np.zeros(count, np.bool_)
        self._key_owner = np.zeros(count, np.uint32)
        self._fixed, self._kernel_claims, self._user = _Claims(count), _Claims(count), _Claims(count)
        self._kernel_walk: Walk | None = None
        self._user_walk: Walk | None = None
        self._spaces: list[Space] = []
        self._area_class = np.zeros(0, np.uint8)
        self._tasks_seen: list[Task] = []
        self._stacks: list[areas.Extent] = []
        self._passing: list[areas.Extent] = []
        self._extents: list[areas.Extent] = []
        self._sharers = Sharers.none()
        self._skipped: list[str] = []
        self._uses = np.zeros(0, np.int64)
        self._owners: tuple[int, bytes, dict[int, Owner]] = (-1, b"", {})
        self._claim_fixed()

    def build(self, grade: Grade) -> PageMap:
        """The page map of this moment; what changed since the last is decoded anew.

        Its entries are the builder's own and stay as they are until the next call.
        """
        self._skipped = []
        if len(self._book) > _MAX_OWNERS:
            self._start_names()
        changed = self._memmap.update()
        touched = self._read.refresh(changed)
        renamed = self._name_keys(changed)
        self._refresh_paths()
        tasks = self._tasks.tasks()
        claimed = self._claim_kernel(tasks), self._claim_user(self._tasks.spaces(tasks))
        if not isinstance(changed, slice):
            changed = _union([changed, renamed, touched, *claimed], self._ram.page_count)
        self._compose(changed)
        entries = self._entries.view()
        entries.setflags(write=False)
        return PageMap(entries, self._find_owners(), 0, grade, tuple(self._skipped), self._sharers)

    def forget(self) -> None:
        """Decode everything anew in the next build, but for names and what pointers led to, which have their own time."""
        self._memmap.forget()
        self._kernel_walk = self._user_walk = None

    def _start_names(self) -> None:
        """Number the owners from the beginning: a guest that has run for long has had many."""
        self._book = OwnerBook()
        self._files, self._slabs = FileNames(self._read, self._book), SlabNames(self._read, self._book)
        self._reach = Reach(self._read, self._book, self._memmap.layout.size)
        self._paths_read = time.monotonic()
        self.forget()

    def _find_owners(self) -> dict[int, Owner]:
        """The owners that occur in the entries, and every process."""
        edition, used, owners = self._owners
        if (edition, used) != (self._book.edition, now := (self._uses > 0).tobytes()):
            owners = self._book.owners((np.flatnonzero(self._uses > 0) + FIRST_NUMBER).tolist())
            self._owners = self._book.edition, now, owners
        return dict(owners)

    # What does not move

    def _claim_fixed(self) -> None:
        """The image, per-CPU memory and the memmap lie where boot put them."""
        for pages, page_class in areas.image_pages(self._read):
            self._fixed.set(pages, page_class, KERNEL.owner_id)
        self._fixed.set(areas.per_cpu_pages(self._read), PageClass.PER_CPU, KERNEL.owner_id)
        self._fixed.set(self._memmap.backing, PageClass.MEMMAP, KERNEL.owner_id)

    # Files and slabs

    def _name_keys(self, changed: Pages | slice) -> Pages:
        """Owners of the slab and file pages that were decoded, `changed` ones among them; the pages whose owner is another.

        A page that looks the same may belong to another file, whose inode lies where that of a removed one lay.
        """
        self._key_owner[changed] = 0
        decoded = self._memmap.decoded
        classes = self._memmap.page_class[decoded]
        renamed = []
        for wanted, names in ((_FILES, self._files), ((PageClass.SLAB,), self._slabs)):
            rows = np.flatnonzero(among(classes, *wanted))
            pages = rows if isinstance(decoded, slice) else decoded[rows]
            if not len(pages):
                continue
            keys = self._memmap.key[pages]
            # Pages of one owner lie together.
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            runs = keys[first]
            keys = np.unique(runs)
            owners = np.array(names.owners(keys), np.uint32)[np.searchsorted(keys, runs)]
            owner = np.repeat(owners, np.diff(first, append=len(pages)))
            renamed.append(pages[self._key_owner[pages] != owner])
            self._key_owner[pages] = owner
        return np.concatenate([np.zeros(0, np.int64), *renamed])

    def _refresh_paths(self) -> None:
        """Now and then, look whether files are called otherwise; their owners' numbers stay."""
        now = time.monotonic()
        if now - self._paths_read > PATHS_EVERY_S:
            self._files.refresh(np.unique(self._memmap.key[among(self._memmap.page_class, *_FILES)]))
            self._paths_read = now

    # The kernel's areas

    def _claim_kernel(self, tasks: list[Task]) -> Pages:
        """Page tables, vmalloc, modules and stacks; the pages whose claim may have changed."""
        known, read = self._kernel_walk, self._read
        if known is not None and len(known.changed_spaces(read)):
            known = None
        if tasks is not self._tasks_seen:
            self._stacks, self._tasks_seen = areas.read_stacks(tasks, self._tasks.stack_size, self._book), tasks
        passing = self._stacks + areas.huge_zero_page(read)
        if known is not None and passing == self._passing:
            self._note(known, "the kernel")
            return np.zeros(0, np.int64)
        if known is None:
            root = np.array([self._kernel.page_tables.root >> PAGE_SHIFT], np.uint64)
            wanted = (read.vmalloc, (areas.modules_start(self._kernel), areas.MODULES_END))
            known = self._kernel_walk = walk(read, root, _KERNEL, wanted)
            self._extents = areas.read_vmap_areas(read, self._book) + areas.read_modules(read, self._book)
        self._note(known, "the kernel")
        self._passing, walked = passing, known
        extents = self._extents + passing
        stale = self._kernel_claims.clear()
        self._kernel_claims.set(
            walked.table_page, PageClass.PAGE_TABLE, KERNEL.owner_id, walked.table_level << ORDER_SHIFT
        )
        for pages, page_class, owner in (areas.name_mapped(walked, extents), areas.name_direct(read, extents)):
            self._kernel_claims.set(pages, page_class, owner)
        return np.concatenate([stale, self._kernel_claims.pages])

    # Processes

    def _claim_user(self, spaces: list[Space]) -> Pages:
        """What processes map, and the pages of their tables; the pages whose claim may have changed."""
        if not self._walk_spaces(spaces):
            return np.zeros(0, np.int64)
        walked = self._user_walk
        assert walked is not None
        self._note(walked, "processes")
        self._book.set_processes([owner_of(pid, name) for pid, name in self._names(spaces)])
        process = np.array([space.pid + 1 for space in spaces], np.uint32)
        tables = np.array([self._book.number("page-table", s.pid, s.name, s.pid) for s in spaces], np.uint32)
        stale = self._user.clear()
        order = np.lexsort((walked.space, walked.page))
        page, space = walked.page[order], walked.space[order]
        first = np.ones(len(page), np.bool_)
        first[1:] = page[1:] != page[:-1]
        new_user = first.copy()
        new_user[1:] |= space[1:] != space[:-1]
        self._sharers = self._list_sharers(page[new_user], space[new_user], spaces)
        shared = np.bincount(np.cumsum(first)[new_user] - 1, minlength=int(first.sum())) > 1
        shared |= np.array([len(s.pids) > 1 for s in spaces], np.bool_)[space[first]] if len(spaces) else False
        flags = np.where(shared, FLAG_MAPPED | FLAG_SHARED, FLAG_MAPPED)
        self._user.set(page[first], self._strongest(order, first), process[space[first]], flags)
        # A table is never mapped by its process; what says both is the guest's invention, and the table wins.
        level = walked.table_level << ORDER_SHIFT
        self._user.set(walked.table_page, PageClass.PAGE_TABLE, tables[walked.table_space], level)
        return np.concatenate([stale, self._user.pages])

    def _walk_spaces(self, spaces: list[Space]) -> bool:
        """Bring the walk and the classes of what it found up to date; whether anything is new."""
        known = self._user_walk
        if known is None or _tables_of(spaces) != _tables_of(self._spaces):
            numbers = np.arange(len(spaces))
            self._user_walk = walk(self._read, np.array(_roots(spaces), np.uint64), _USER)
            self._area_class = self._find_areas(spaces, numbers, self._user_walk)
        else:
            numbers = known.changed_spaces(self._read)
            if not len(numbers):
                changed, self._spaces = spaces is not self._spaces and spaces != self._spaces, spaces
                return changed
            chosen = [spaces[number] for number in numbers.tolist()]
            new = walk(self._read, np.array(_roots(chosen), np.uint64), _USER)
            stays = ~np.isin(known.space, numbers)
            fresh = self._find_areas(chosen, np.arange(len(chosen)), new)
            self._area_class = np.concatenate([self._area_class[stays], fresh])
            self._user_walk = join(known, numbers, numbers, new)
        self._spaces = spaces
        return True

    def _find_areas(self, spaces: list[Space], numbers: Pages, walked: Walk) -> npt.NDArray[np.uint8]:
        found = self._tasks.areas([space.mm for space in spaces])
        if not found.complete:
            self._skipped.append("memory areas of processes: more than are read, or torn; pause and ask again")
        return found.find(numbers[walked.space], walked.virtual)

    def _strongest(self, order: Pages, first: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """One class a page: executable wherever one process has it so, else what the first process says."""
        classes = self._area_class[order]
        starts = np.flatnonzero(first)
        if not len(starts):
            return classes
        is_text = np.logical_or.reduceat(classes == PageClass.PROCESS_TEXT, starts)
        return np.where(is_text, np.uint8(PageClass.PROCESS_TEXT), classes[starts])

    def _list_sharers(self, page: Pages, space: Pages, spaces: list[Space]) -> Sharers:
        pids = [np.array(s.pids, np.uint32) + np.uint32(1) for s in spaces]
        counts = np.array([len(p) for p in pids], np.int64)
        if not len(space):
            return Sharers.none()
        starts = np.cumsum(counts) - counts
        repeats = counts[space]
        within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return Sharers(np.repeat(page, repeats), np.concatenate(pids)[np.repeat(starts[space], repeats) + within])

    @staticmethod
    def _names(spaces: list[Space]) -> list[tuple[int, str]]:
        return [(pid, space.name) for space in spaces for pid in space.pids]

    def _note(self, walked: Walk, whose: str) -> None:
        if walked.skipped:
            self._skipped.append(f"page tables of {whose}: {walked.skipped} outside RAM")
        if not walked.complete:
            self._skipped.append(f"page tables of {whose}: more than are followed")

    # All together

    def _compose(self, pages: Pages | slice) -> None:
        """Join what the sources say of `pages`, and look for owners of what stays without a name."""
        entries, memmap = self._entries, self._memmap
        before = None if isinstance(pages, slice) else entries["owner_id"][pages]
        page_class, flags, owner = (
            memmap.page_class[pages].copy(),
            memmap.flags[pages].copy(),
            self._key_owner[pages].copy(),
        )
        said = self._fixed.page_class[pages] | self._kernel_claims.page_class[pages] | self._user.page_class[pages]
        rows = np.flatnonzero((said != 0) & ~among(page_class, PageClass.FREE))
        claimed = rows if isinstance(pages, slice) else pages[rows]
        page_class[rows], flags[rows], owner[rows] = self._hear_claims(
            claimed, page_class[rows], flags[rows], owner[rows]
        )
        nobodys = among(page_class, PageClass.FREE, PageClass.RESERVED, PageClass.OTHER)
        np.putmask(page_class, nobodys & ~self._read.resident[pages], PageClass.UNTOUCHED)
        entries["page_class"][pages], entries["flags"][pages], entries["owner_id"][pages] = page_class, flags, owner
        nameless = _NEED_OWNER.take(page_class) & (owner == 0)
        self._nameless[pages] = nameless
        self._reach.forget(pages, nameless)
        rows = np.flatnonzero(nameless)
        fresh = rows if isinstance(pages, slice) else pages[rows]
        explained = self._reach.explain(entries, fresh, self._nameless, memmap.page_class, memmap.continues)
        if before is None or len(explained) > len(fresh):
            self._uses = self._count(entries["owner_id"])
        else:
            after = entries["owner_id"][pages]
            differs = before != after
            self._uses = (
                self._count(after[differs])
                - self._count(before[differs])
                + np.pad(self._uses, (0, len(self._book) - len(self._uses)))
            )

    def _count(self, owners: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """How often each owner from `FIRST_NUMBER` on occurs."""
        return np.bincount(owners[owners >= FIRST_NUMBER] - np.uint32(FIRST_NUMBER), minlength=len(self._book))

    def _hear_claims(
        self, pages: Pages, base: npt.NDArray[np.uint8], flags: npt.NDArray[np.uint8], owner: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
        """Class, flags and owner of `pages` that somebody claims, by those that the memmap and names give them."""
        page_class, held = base.copy(), _HELD.take(base)
        for claims in (self._fixed, self._kernel_claims, self._user):
            said = claims.page_class[pages]
            ours = held & (said != 0)
            if claims is self._user:
                ours &= among(said, PageClass.PAGE_TABLE)
            page_class[ours], owner[ours] = said[ours], claims.owner[pages[ours]]
            flags[ours] |= claims.flags[pages[ours]]
        mapped = (said != 0) & ~among(said, PageClass.PAGE_TABLE)
        flags[mapped] |= self._user.flags[pages[mapped]]
        anonymous = mapped & among(base, PageClass.PROCESS_ANONYMOUS)
        page_class[anonymous] = said[anonymous]
        file = mapped & among(base, *_FILES)
        page_class[file] = np.where(
            said[file] == PageClass.PROCESS_TEXT, PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE
        )
        theirs = mapped & _OWNED_BY_PROCESS.take(base) & (owner == 0)
        owner[theirs] = self._user.owner[pages[theirs]]
        return page_class, flags, owner


def _tables_of(spaces: list[Space]) -> list[tuple[int, int]]:
    return [(space.mm, space.root) for space in spaces]


def _roots(spaces: list[Space]) -> list[int]:
    return [space.root for space in spaces]


def _union(parts: list[Pages], count: int) -> Pages:
    mask = np.zeros(count, np.bool_)
    for part in parts:
        mask[part] = True
    return np.flatnonzero(mask)
