"""The page map of a kernel with types, kept up to date.

Several sources say what a page is, and `PageMapBuilder` keeps what each says in columns of one entry a page:

1. the memmap: free, reserved, slab, file, anonymous, or just held by the kernel (`memmap`);
2. the kernel's own areas, which name what the memmap calls reserved or held: image, page tables, per-CPU memory, stacks,
   modules, vmalloc, the memmap itself (`kernel_pages`, `pointer_search`);
3. the page tables of processes and their memory areas, which say who maps anonymous and file pages, and as what
   (`user_pages`).

`_compose` joins them. Each refresh reads each source again, cheaply: it compares the source's bytes with those it decoded
last, and joins only pages for which a source changed. A page without owner that was never touched stays "untouched", even
where the kernel has it on its list of free pages.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import NoTypesError
from ...kernel.columns import KernelColumns, Pages
from ...kernel.memmap import MemMap, among
from ...kernel.symbols import KernelSymbols
from ...memory.ram import GuestRam
from ...wire.page_map import ENTRY, PageMap
from ...wire.records import Grade, Owner, PageClass
from .files import FILE_CLASSES, KeyOwners
from .kernel_pages import KernelPages
from .owners import FIRST_NUMBER, OwnerBook
from .pointer_search import PointerSearch, may_be_pointed_to
from .tasks import TaskReader
from .user_pages import UserPages

_MAX_OWNERS = 1 << 16
_MIN_COVERAGE = 0.5


def _classes(*classes: PageClass) -> npt.NDArray[np.bool_]:
    """A set of classes as a table: `take` it with the classes of pages."""
    table = np.zeros(256, np.bool_)
    table[list(classes)] = True
    return table


_HELD = _classes(PageClass.RESERVED, PageClass.KERNEL_PAGES, PageClass.PAGE_TABLE, PageClass.OTHER)
_OWNED_BY_PROCESS = _classes(PageClass.PROCESS_ANONYMOUS, PageClass.KSM, PageClass.HUGE_PAGE, PageClass.KERNEL_PAGES)
_NEED_OWNER = _HELD | _classes(*FILE_CLASSES, PageClass.SLAB)


class PageMapBuilder:
    """Makes page maps of one guest, each from the one before. Not thread-safe.

    A kernel that restarts needs a new builder.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols) -> None:
        """Find what does not move; `NoTypesError` for a kernel without a readable memmap: use `classify` then."""
        self._read = read = KernelColumns(ram, kernel)
        self._memmap = MemMap(read)
        if self._memmap.coverage < _MIN_COVERAGE:
            raise NoTypesError(
                "the kernel's memmap is not where its symbols say; use a kernel built with SPARSEMEM_VMEMMAP"
            )
        self._tasks = TaskReader(read)
        self._book = book = OwnerBook()
        self._keys = KeyOwners(read, self._memmap, book)
        self._kernel_pages = KernelPages(read, self._memmap.backing, self._tasks.stack_size, book)
        self._user_pages = UserPages(read, self._tasks, book)
        self._claims = (self._kernel_pages.fixed, self._kernel_pages.claims, self._user_pages.claims)
        self._pointers = PointerSearch(read, book, self._memmap.layout.size)
        self._entries = np.zeros(ram.page_count, ENTRY)
        self._nameless = np.zeros(ram.page_count, np.bool_)
        self._uses = np.zeros(0, np.int64)
        self._owners: tuple[int, bytes, dict[int, Owner]] = (-1, b"", {})

    def build(self, grade: Grade, *, complete: bool = False) -> PageMap:
        """The current page map; decodes what changed since the last call.

        Renamed files keep their old paths for up to `PATHS_EVERY_S`, and new kernel pages stay without an owner for up to
        `SEARCH_EVERY_S`, unless the map is to be `complete`: then both are looked up now, in some milliseconds more.
        Its entries are the builder's own and stay as they are until the next call.
        """
        if len(self._book) > _MAX_OWNERS:
            self._restart_owners()
        skipped: list[str] = []
        changed = self._memmap.update()
        touched = self._read.refresh(changed)
        renamed = self._keys.update(changed)
        self._keys.refresh_paths(complete)
        tasks = self._tasks.tasks()
        if liars := self._tasks.left_out(tasks):
            skipped.append(f"{liars} tasks with impossible numbers are left out")
        claimed = (
            self._kernel_pages.update(tasks, skipped),
            self._user_pages.update(self._tasks.spaces(tasks), skipped),
        )
        if not isinstance(changed, slice):
            changed = _union([changed, renamed, touched, *claimed], len(self._entries))
        self._compose(changed, complete)
        if len(orphans := self._pointers.release(self._uses)):
            self._compose(orphans, complete)
        entries = self._entries.view()
        entries.setflags(write=False)
        return PageMap(entries, self._find_owners(), 0, grade, tuple(skipped), self._user_pages.sharers)

    def forget(self) -> None:
        """Make the next build decode everything; names and results of the pointer search keep their own refresh times."""
        self._memmap.forget()
        self._kernel_pages.forget()
        self._user_pages.forget()

    def _restart_owners(self) -> None:
        """Start a new numbering of owners, when a guest has had many."""
        self._book = book = OwnerBook()
        self._keys.start(book)
        self._kernel_pages.start(book)
        self._user_pages.start(book)
        self._pointers = PointerSearch(self._read, book, self._memmap.layout.size)
        self._memmap.forget()

    def _find_owners(self) -> dict[int, Owner]:
        """The owners that occur in the entries, and every process."""
        edition, used, owners = self._owners
        if (edition, used) != (self._book.edition, now := (self._uses > 0).tobytes()):
            owners = self._book.owners((np.flatnonzero(self._uses > 0) + FIRST_NUMBER).tolist())
            self._owners = self._book.edition, now, owners
        return dict(owners)

    def _compose(self, pages: Pages | slice, complete: bool) -> None:
        """Join what the sources say of `pages`, and search owners for those still nameless."""
        entries, memmap = self._entries, self._memmap
        before = None if isinstance(pages, slice) else entries["owner_id"][pages]
        page_class, flags, owner = (
            memmap.page_class[pages].copy(),
            memmap.flags[pages].copy(),
            self._keys.owner[pages].copy(),
        )
        rows = np.flatnonzero(self._is_claimed(pages) & ~among(page_class, PageClass.FREE))
        claimed = rows if isinstance(pages, slice) else pages[rows]
        page_class[rows], flags[rows], owner[rows] = self._apply_claims(
            claimed, page_class[rows], flags[rows], owner[rows]
        )
        unowned = among(page_class, PageClass.FREE, PageClass.RESERVED, PageClass.OTHER)
        np.putmask(page_class, unowned & ~self._read.resident[pages], PageClass.UNTOUCHED)
        entries["page_class"][pages], entries["flags"][pages], entries["owner_id"][pages] = page_class, flags, owner
        nameless = _NEED_OWNER.take(page_class) & (owner == 0)
        self._nameless[pages] = nameless
        self._pointers.forget(pages, nameless & may_be_pointed_to(memmap.page_class[pages]))
        rows = np.flatnonzero(nameless)
        fresh = rows if isinstance(pages, slice) else pages[rows]
        explained = self._pointers.find_owners(
            entries, fresh, self._nameless, memmap.page_class, memmap.continues, complete
        )
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

    def _is_claimed(self, pages: Pages | slice) -> npt.NDArray[np.bool_]:
        fixed, kernel, user = (claims.page_class[pages] for claims in self._claims)
        return np.asarray(fixed | kernel | user != 0)

    def _apply_claims(
        self, pages: Pages, base: npt.NDArray[np.uint8], flags: npt.NDArray[np.uint8], owner: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
        """Class, flags and owner of claimed `pages`, by those that the memmap and names give them."""
        user = self._user_pages.claims
        page_class, held = base.copy(), _HELD.take(base)
        for claims in self._claims:
            claim = claims.page_class[pages]
            ours = held & (claim != 0)
            if claims is user:
                ours &= among(claim, PageClass.PAGE_TABLE)
            page_class[ours], owner[ours] = claim[ours], claims.owner[pages[ours]]
            flags[ours] |= claims.flags[pages[ours]]
        mapped = (claim != 0) & ~among(claim, PageClass.PAGE_TABLE)
        flags[mapped] |= user.flags[pages[mapped]]
        anonymous = mapped & among(base, PageClass.PROCESS_ANONYMOUS)
        page_class[anonymous] = claim[anonymous]
        file = mapped & among(base, *FILE_CLASSES)
        page_class[file] = np.where(
            claim[file] == PageClass.PROCESS_TEXT, PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE
        )
        theirs = mapped & _OWNED_BY_PROCESS.take(base) & (owner == 0)
        owner[theirs] = user.owner[pages[theirs]]
        return page_class, flags, owner


def _union(parts: list[Pages], count: int) -> Pages:
    mask = np.zeros(count, np.bool_)
    for part in parts:
        mask[part] = True
    return np.flatnonzero(mask)
