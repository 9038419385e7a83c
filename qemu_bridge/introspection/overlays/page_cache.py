"""Files whose pages are in memory: the page cache and what tmpfs holds, a row a file.

Every file system in use is in the list ``super_blocks``, every inode it knows in the list ``s_inodes``, and an inode's
``i_data.nrpages`` counts the pages of its file that are in memory (``include/linux/fs.h``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import KernelObjects, Object
from .mounts import mounts_of, namespace_of_init
from .open_files import format_device
from .overlay import BuiltOverlay, OverlayContext
from .paths import MAX_PARTS, PathNames

MAX_FILESYSTEMS = 1 << 12
MAX_LINKS = 1 << 10


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file: `pages` of it are in memory, its `size` in bytes; `mapped` if some process may map it."""

    filesystem: str
    device: str
    inode: int
    pages: int
    size: int
    mapped: bool
    path: str


def read_page_cache(context: OverlayContext, budget: Budget) -> Iterator[CachedFile]:
    """Yield every file with pages in memory."""
    return (file for file, _ in cached_files(context, budget))


def cached_files(context: OverlayContext, budget: Budget) -> Iterator[tuple[CachedFile, Object]]:
    """Yield every file with pages in memory, and its inode."""
    for filesystem, inode in known_inodes(context, budget):
        try:
            pages = inode["i_data.nrpages"]
            if pages:
                yield filesystem.describe(inode, pages), inode
        except GlassBoxError as error:
            budget.skip_unread(f"a file of {filesystem.name}", error)


def known_inodes(context: OverlayContext, budget: Budget) -> Iterator[tuple[Filesystem, Object]]:
    """Yield every inode that the kernel holds, and its file system."""
    space = context.objects
    paths, namespace = PathNames(space), 0
    with suppress(GlassBoxError):
        namespace = namespace_of_init(space).address
    for super_block in space.linked(space.kernel.address_of("super_blocks"), "super_block", "s_list", MAX_FILESYSTEMS):
        try:
            filesystem = Filesystem(super_block, paths, namespace)
            inodes = list(space.linked(super_block.at("s_inodes"), "inode", "i_sb_list"))
        except GlassBoxError as error:
            budget.skip_unread("a file system", error)
            continue
        for inode in inodes:
            budget.spend()
            yield filesystem, inode


class Filesystem:
    """One file system.

    Attributes:
        name: that of its type.
        device: its number, as in ``/proc/PID/maps``.
        operations: address of its ``struct super_operations``.
    """

    def __init__(self, super_block: Object, paths: PathNames, namespace: int) -> None:
        self._paths, self._namespace = paths, namespace
        self._space: KernelObjects = super_block.space
        kind = super_block.follow("s_type")
        self.name = kind.text_at("name", 64) if kind else ""
        self.device = format_device(super_block["s_dev"])
        self.operations = super_block["s_op"]
        self._root = super_block["s_root"]
        self._mounts = self._find_mounts(super_block)

    def _find_mounts(self, super_block: Object) -> dict[int, int]:
        """The ``vfsmount`` by the directory that it shows; the mounts that the kernel keeps for itself are left out."""
        found: dict[int, int] = {}
        for mount in mounts_of(super_block):
            namespace, root = mount["mnt_ns"], mount["mnt.mnt_root"]
            if namespace == self._namespace:
                found[root] = mount.at("mnt")
            elif namespace > 1 << 63:
                found.setdefault(root, mount.at("mnt"))
        return found

    def describe(self, inode: Object, pages: int) -> CachedFile:
        """The row of an inode."""
        mapped = bool(inode["i_data.i_mmap.rb_root.rb_node"])
        return CachedFile(self.name, self.device, inode["i_ino"], pages, inode["i_size"], mapped, self._path(inode))

    def _path(self, inode: Object) -> str:
        return next(self.paths(inode), "")

    def paths(self, inode: Object) -> Iterator[str]:
        """Yield its names, of several links the newest first; none for a file without one, as block devices are."""
        link = "d_alias" if self._space.kernel.has("dentry_alias") else "d_u.d_alias"
        back = self._space.offset("dentry", link)
        return (self._path_of(alias - back) for alias in self._space.hashed(inode["i_dentry.first"], MAX_LINKS))

    def _path_of(self, dentry: int) -> str:
        mount = self._mounts.get(self._root) or self._mount_above(dentry)
        if mount:
            return self._paths.name(mount, dentry)
        entry = self._space.at("dentry", dentry)
        name = (
            self._paths.within(dentry) if entry["d_parent"] != dentry else self._space.text(entry["d_name.name"], 255)
        )
        return f"{self.name}:{name}"

    def _mount_above(self, dentry: int) -> int:
        """Of a file system that is mounted in part only the mount that shows a file, 0 for none."""
        for _ in range(MAX_PARTS if self._mounts else 0):
            if dentry in self._mounts:
                return self._mounts[dentry]
            parent = self._space.at("dentry", dentry)["d_parent"]
            if parent == dentry:
                break
            dentry = parent
        return 0


PAGE_CACHE = BuiltOverlay(
    "page-cache",
    "Files whose pages are in memory.",
    ("filesystem", "device", "inode", "pages", "size", "mapped", "path"),
    read_page_cache,
    is_never_empty=True,
)
