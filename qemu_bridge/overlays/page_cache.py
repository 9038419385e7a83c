"""Files whose pages are in memory: the page cache and what tmpfs holds, a row a file.

Every file system in use is in the list ``super_blocks``, every inode it knows in the list ``s_inodes``, and an inode's
``i_data.nrpages`` counts the pages of its file that are in memory (``include/linux/fs.h``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..budget import Budget
from ..errors import GlassBoxError
from ..objects import KernelObjects, Object
from .open_files import format_device
from .overlay import BuiltOverlay, OverlayContext
from .paths import PathNames

MAX_FILESYSTEMS = 1 << 12
MAX_MOUNTS = 1 << 10


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
    space = context.objects
    paths = PathNames(space)
    for super_block in space.linked(space.kernel.address_of("super_blocks"), "super_block", "s_list", MAX_FILESYSTEMS):
        try:
            filesystem = _Filesystem(super_block, paths)
            inodes = list(space.linked(super_block.at("s_inodes"), "inode", "i_sb_list"))
        except GlassBoxError as error:
            budget.skip(f"a file system cannot be read: {str(error).split(';')[0]}")
            continue
        for inode in inodes:
            budget.spend()
            try:
                pages = inode["i_data.nrpages"]
                if pages:
                    yield filesystem.describe(inode, pages)
            except GlassBoxError as error:
                budget.skip(f"a file of {filesystem.name} cannot be read: {str(error).split(';')[0]}")


class _Filesystem:
    """One file system: its name, and where it is mounted."""

    def __init__(self, super_block: Object, paths: PathNames) -> None:
        self._paths = paths
        self._space: KernelObjects = super_block.space
        kind = super_block.follow("s_type")
        self.name = kind.text_at("name", 64) if kind else ""
        self._device = format_device(super_block["s_dev"])
        self._mount, self._root = 0, super_block["s_root"]
        # Mounted whole in somebody's namespace; the mounts that the kernel keeps for itself have none.
        for mount in self._space.linked(super_block.at("s_mounts"), "mount", "mnt_instance", MAX_MOUNTS):
            if mount["mnt_ns"] > 1 << 63 and mount["mnt.mnt_root"] == self._root:
                self._mount = mount.at("mnt")
                break

    def describe(self, inode: Object, pages: int) -> CachedFile:
        """The row of an inode."""
        mapped = bool(inode["i_data.i_mmap.rb_root.rb_node"])
        return CachedFile(self.name, self._device, inode["i_ino"], pages, inode["i_size"], mapped, self._path(inode))

    def _path(self, inode: Object) -> str:
        """Its name, of several links the newest; empty for a file without one, as block devices are."""
        alias = inode["i_dentry.first"]
        if not alias:
            return ""
        dentry = alias - self._space.offset("dentry", "d_u.d_alias")
        if self._mount:
            return self._paths.name(self._mount, dentry)
        entry = self._space.at("dentry", dentry)
        name = (
            self._paths.within(dentry) if entry["d_parent"] != dentry else self._space.text(entry["d_name.name"], 255)
        )
        return f"{self.name}:{name}"


PAGE_CACHE = BuiltOverlay(
    "page-cache",
    "Files whose pages are in memory.",
    ("filesystem", "device", "inode", "pages", "size", "mapped", "path"),
    read_page_cache,
)
