"""Names of the files and slab caches that pages belong to.

The memmap gives a page's ``struct address_space``; its inode, and one of the dentries that name the inode, lead to a path
(``fs/d_path.c``), as seen in the mount that the kernel lists first for the file system. Nothing that processes have open
is needed: pages of a file stay cached after it is closed.
"""

from __future__ import annotations

import time

import numpy as np

from ...kernel.columns import KernelColumns, Pages, U64Array
from ...kernel.memmap import MemMap, among
from ...wire.records import PageClass
from .owners import OwnerBook

FILE_CLASSES = PageClass.PAGE_CACHE, PageClass.SHMEM
PATHS_EVERY_S = 10.0
_MAX_PARTS = 128
_MAX_MOUNTS = 1 << 10
_MAX_DEPTH = 16
_MAX_NAME = 255
_U64 = (1 << 64) - 1


class FileNames:
    """Finds the owners of file pages, and caches them while inode and name stay the same."""

    def __init__(self, read: KernelColumns, book: OwnerBook) -> None:
        self._read = read
        self._book = book
        btf = read.kernel.btf
        self._host = btf.member_offset("address_space", "host")
        inode = ("i_mapping", "i_data", "i_ino", "i_sb", "i_dentry", "i_generation", "i_rdev")
        self._inode = {name: btf.member_offset("inode", name) for name in inode}
        self._dentry = {name: btf.member_offset("dentry", name) for name in ("d_parent", "d_name", "d_hash", "d_sb")}
        self._dentry["alias"] = btf.member_offset(
            "dentry", "d_alias" if read.kernel.has("dentry_alias") else "d_u.d_alias"
        )
        self._dentry["name"] = self._dentry["d_name"] + btf.member_offset("qstr", "name")
        self._dentry["length"] = self._dentry["d_name"] + btf.member_offset("qstr", "len")
        self._super = {
            name: btf.member_offset("super_block", name) for name in ("s_dev", "s_type", "s_mounts", "s_root")
        }
        self._type_name = btf.member_offset("file_system_type", "name")
        self._has_chain = read.kernel.has("mount_chain")
        link = "mnt_next_for_sb" if self._has_chain else "mnt_instance"
        self._mount = {
            name: btf.member_offset("mount", name) for name in ("mnt_mountpoint", "mnt_parent", "mnt_ns", link)
        }
        self._link = self._mount[link]
        self._task = {name: btf.member_offset("task_struct", name) for name in ("tasks", "nsproxy")}
        self._namespace = btf.member_offset("nsproxy", "mnt_ns")
        self._roots: dict[int, str] = {}
        self._known: dict[int, tuple[tuple[int, ...], int]] = {}

    def refresh(self, in_use: U64Array) -> None:
        """Read the paths of the address_spaces `in_use` again, for directories may have been renamed; forget the others."""
        self._roots.clear()
        self._known.clear()
        self.owners(in_use)

    def owners(self, mappings: U64Array) -> list[int]:
        """Owner number of each address_space; 0 where it is none."""
        read, where = self._read, self._inode
        inode = read.u64(mappings + np.uint64(self._host))
        mapping, *fields, alias = read.fields(
            inode,
            (where["i_mapping"], 8),
            (where["i_ino"], 8),
            (where["i_generation"], 4),
            (where["i_sb"], 8),
            (where["i_dentry"], 8),
        )
        is_own = ((mapping == mappings) | (inode + np.uint64(where["i_data"]) == mappings)) & (inode != 0)
        name = read.u64(alias + np.uint64(self._dentry["name"] - self._dentry["alias"] & _U64))
        rows = zip(*(column.tolist() for column in (mappings, inode, *fields, alias, name)), strict=True)
        return [self._owner(row) if own else 0 for row, own in zip(rows, is_own.tolist(), strict=True)]

    def _owner(self, row: tuple[int, ...]) -> int:
        mapping, inode, number, _, super_block, alias, _ = row
        known = self._known.get(mapping)
        if known is None or known[0] != row:
            device = self._read.word(super_block + self._super["s_dev"] & _U64, 4)
            detail = f"{device >> 20:02x}:{device & 0xFFFFF:02x}:{number}"
            owner = self._book.number("file", mapping, self._path(inode, super_block, alias, number), detail=detail)
            known = self._known[mapping] = (row, owner)
        return known[1]

    def _path(self, inode: int, super_block: int, alias: int, number: int) -> str:
        """The path of an inode by its first alias; what its file system calls it when it has none."""
        if not alias:
            kind = self._type(super_block)
            if kind == "bdev":
                device = self._read.word(inode + self._inode["i_rdev"] & _U64, 4)
                return f"block device {device >> 20}:{device & 0xFFFFF}"
            return f"{kind}: inode {number}"
        return self._dentry_path(alias - self._dentry["alias"] & _U64, super_block, 0)

    def _dentry_path(self, dentry: int, super_block: int, depth: int) -> str:
        read, where = self._read, self._dentry
        parts: list[str] = []
        entry = dentry
        for _ in range(_MAX_PARTS):
            parent = read.word(entry + where["d_parent"] & _U64)
            if parent in (entry, 0):
                break
            parts.append(self._dentry_name(entry))
            entry = parent
        path = "/".join(reversed(parts))
        is_root = entry == read.word(super_block + self._super["s_root"] & _U64)
        if not parts and not is_root:
            # A file that never had a directory: memfd, shared memory.
            return f"/{self._dentry_name(dentry)} (deleted)"
        unlinked = bool(parts) and not read.word(dentry + where["d_hash"] + 8 & _U64)
        root = self._mounted_at(super_block, depth)
        return f"{root.rstrip('/')}/{path}{' (deleted)' if unlinked else ''}".replace("\n", "\\012")

    def _dentry_name(self, dentry: int) -> str:
        length = min(self._read.word(dentry + self._dentry["length"] & _U64, 4), _MAX_NAME)
        return self._read.string(self._read.word(dentry + self._dentry["name"] & _U64), length)

    def _mounted_at(self, super_block: int, depth: int) -> str:
        """Where the file system is mounted; the name of its type and a colon where it is not."""
        if super_block not in self._roots:
            self._roots[super_block] = ""
            self._roots[super_block] = self._find_mount(super_block, depth)
        return self._roots[super_block]

    def _find_mount(self, super_block: int, depth: int) -> str:
        """Where process 1 sees the file system mounted, else where anyone does: the kernel has mounts of its own."""
        read, where = self._read, self._mount
        mounts = self._mounts_of(super_block)
        namespace = self._namespace_of_init()
        mounts.sort(key=lambda mount: read.word(mount + where["mnt_ns"] & _U64) != namespace)
        for mount in mounts:
            parent, point = (
                read.word(mount + where["mnt_parent"] & _U64),
                read.word(mount + where["mnt_mountpoint"] & _U64),
            )
            above = read.word(point + self._dentry["d_sb"] & _U64)
            if parent == mount:
                # The root of a namespace.
                if namespace and read.word(mount + where["mnt_ns"] & _U64) == namespace:
                    return "/"
                continue
            if depth < _MAX_DEPTH and point and above:
                if above == super_block:
                    return "/"
                return self._dentry_path(point, above, depth + 1)
        kind = self._type(super_block)
        return "/" if kind == "rootfs" else f"{kind}:"

    def _mounts_of(self, super_block: int) -> list[int]:
        head = super_block + self._super["s_mounts"] & _U64
        if not self._has_chain:
            return [link - self._link & _U64 for link in self._read.links(head, _MAX_MOUNTS)]
        found: list[int] = []
        mount = self._read.word(head)
        while mount and len(found) < _MAX_MOUNTS:
            found.append(mount)
            mount = self._read.word(mount + self._link & _U64)
        return found

    def _namespace_of_init(self) -> int:
        """The mount namespace of process 1, the first in the list of tasks; 0 while there is none."""
        read, tasks = self._read, self._task["tasks"]
        first = read.word((read.address_of("init_task") or 0) + tasks & _U64) - tasks
        proxy = read.word(first + self._task["nsproxy"] & _U64)
        return read.word(proxy + self._namespace & _U64)

    def _type(self, super_block: int) -> str:
        pointer = self._read.word(self._read.word(super_block + self._super["s_type"] & _U64) + self._type_name & _U64)
        return self._read.string(pointer, 32) or "file system"


class SlabNames:
    """Finds the owners of slab pages by the addresses of their caches."""

    def __init__(self, read: KernelColumns, book: OwnerBook) -> None:
        self._read = read
        self._book = book
        self._name = read.kernel.btf.member_offset("kmem_cache", "name")
        self._names: dict[int, tuple[int, str]] = {}

    def owners(self, caches: U64Array) -> list[int]:
        """Owner number of each ``struct kmem_cache``; 0 where there is none."""
        pointers = self._read.u64(caches + np.uint64(self._name))
        return [self._owner(cache, pointer) for cache, pointer in zip(caches.tolist(), pointers.tolist(), strict=True)]

    def _owner(self, cache: int, pointer: int) -> int:
        known = self._names.get(cache)
        if known is None or known[0] != pointer:
            known = self._names[cache] = (pointer, self._read.string(pointer, 128))
        return self._book.number("slab", cache, known[1]) if known[1] else 0


class KeyOwners:
    """Owners of file and slab pages, by the key that the memmap gives each.

    Attributes:
        owner: the owner's number of each page, `uint32`; 0 where the page has no key or no owner is found.
        paths_read_s: when the paths were last read as a whole, by `time.monotonic`.
    """

    def __init__(self, read: KernelColumns, memmap: MemMap, book: OwnerBook) -> None:
        self._read = read
        self._memmap = memmap
        self.owner = np.zeros(read.ram.page_count, np.uint32)
        self.start(book)

    def start(self, book: OwnerBook) -> None:
        """Number owners in `book` from now on."""
        self._files, self._slabs = FileNames(self._read, book), SlabNames(self._read, book)
        self.paths_read_s = time.monotonic()

    def update(self, changed: Pages | slice) -> Pages:
        """Name the slab and file pages that the memmap decoded, `changed` ones among them; returns those with another owner.

        A page with the same key may belong to another file: the inode of a new file may reuse the address of a removed one.
        """
        self.owner[changed] = 0
        decoded = self._memmap.decoded
        classes = self._memmap.page_class[decoded]
        renamed = []
        for wanted, names in ((FILE_CLASSES, self._files), ((PageClass.SLAB,), self._slabs)):
            rows = np.flatnonzero(among(classes, *wanted))
            pages = rows if isinstance(decoded, slice) else decoded[rows]
            if not len(pages):
                continue
            keys = self._memmap.key[pages]
            # Pages of one owner are together.
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            runs = keys[first]
            keys = np.unique(runs)
            owners = np.array(names.owners(keys), np.uint32)[np.searchsorted(keys, runs)]
            owner = np.repeat(owners, np.diff(first, append=len(pages)))
            renamed.append(pages[self.owner[pages] != owner])
            self.owner[pages] = owner
        return np.concatenate([np.zeros(0, np.int64), *renamed])

    def refresh_paths(self, complete: bool) -> None:
        """Every `PATHS_EVERY_S`, and when the map is to be `complete`, read all paths again, for files may have been renamed.

        Their owners keep their numbers.
        """
        now = time.monotonic()
        if complete or now - self.paths_read_s > PATHS_EVERY_S:
            self._files.refresh(np.unique(self._memmap.key[among(self._memmap.page_class, *FILE_CLASSES)]))
            self.paths_read_s = now
