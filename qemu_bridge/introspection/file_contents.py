"""Files that the kernel knows, how much of each is in RAM, and where.

A file of a disk is whole where every page of it is cached. A file of tmpfs, ramfs or a memfd is nowhere else: what it has no
page for is zeros, unless that is on a swap device.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator

from ..errors import GlassBoxError, UsageError
from ..kernel.budget import Budget
from ..kernel.objects import Object
from ..memory.addresses import PAGE_SHIFT, PhysicalAddress
from ..wire.records import DELETED, FileInMemory, FileRun
from .overlays import OverlayContext
from .overlays.file_pages import iter_pages
from .overlays.page_cache import Filesystem, known_inodes
from .targets import parse_target
from .targets.grammar import Named

_OF_MEMORY = ("shmem_ops", "ramfs_ops", "hugetlbfs_ops")
_MTIME = ("i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec")
_TREE_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
_MAX_LINK = 4095


def read_files(
    context: OverlayContext, budget: Budget, target: str = "", *, with_runs: bool = False
) -> Iterator[FileInMemory]:
    """Yield the files that `target` names, or all of which something is in RAM or swapped; a name each.

    `UsageError` for a target that does not name files.
    """
    wanted = _parse(target) if target else None
    reader = _Reader(context, with_runs=with_runs)
    for filesystem, inode in known_inodes(context, budget):
        try:
            for path in _names(filesystem, inode, wanted):
                file = reader.read(filesystem, inode, path)
                if wanted is not None or file.in_memory or file.swapped:
                    yield file
        except GlassBoxError as error:
            budget.skip_unread(f"a file of {filesystem.name}", error)


def _parse(target: str) -> Named:
    parsed = parse_target(target)
    if not isinstance(parsed, Named) or parsed.kind != "file":
        raise UsageError(f"{target!r} does not name files; write file:/path, or file:'/path*' for several")
    return parsed


def _names(filesystem: Filesystem, inode: Object, wanted: Named | None) -> Iterator[str]:
    """Yield the names of an inode that are meant; the first one where all files are."""
    kind = stat.S_IFMT(inode["i_mode"])
    if wanted is None:
        if (kind == stat.S_IFREG or kind == stat.S_IFBLK) and (
            inode["i_data.nrpages"] or inode["i_data.i_pages.xa_head"]
        ):
            yield next(filesystem.paths(inode), "") or _name_of_device(filesystem, inode)
        return
    if kind in _TREE_KINDS:
        yield from (path for path in filesystem.paths(inode) if _is_meant(wanted, path))
    elif kind == stat.S_IFBLK and filesystem.name == "bdev" and _is_meant(wanted, _name_of_device(filesystem, inode)):
        yield _name_of_device(filesystem, inode)


def _name_of_device(filesystem: Filesystem, inode: Object) -> str:
    number = inode["i_rdev"]
    return f"block device {number >> 20}:{number & 0xFFFFF}" if filesystem.name == "bdev" else ""


def _is_meant(wanted: Named, path: str) -> bool:
    """Whether `path`, with or without the mark of a removed file, is one that is wanted, or below a directory that is."""
    bare = path.removesuffix(DELETED)
    if wanted.matches(path) or wanted.matches(bare):
        return True
    return not wanted.is_pattern and path.startswith(wanted.name.rstrip("/") + "/")


class _Reader:
    """Reads what an inode says, on one kernel."""

    def __init__(self, context: OverlayContext, *, with_runs: bool) -> None:
        self._with_runs = with_runs
        space = context.objects
        self._of_memory = {address for name in _OF_MEMORY if (address := space.address_of(name))}
        self._mtime = next((name for name in _MTIME if space.has("inode", name)), "")

    def read(self, filesystem: Filesystem, inode: Object, path: str) -> FileInMemory:
        mode, size = inode["i_mode"], max(inode["i_size"], 0)
        kind = stat.S_IFMT(mode)
        is_of_memory = filesystem.operations in self._of_memory
        runs: list[FileRun] = []
        in_memory = swapped = 0
        for found in iter_pages(inode) if kind == stat.S_IFREG or kind == stat.S_IFBLK else ():
            offset = found.first << PAGE_SHIFT
            length = min(found.pages << PAGE_SHIFT, size - offset)
            if length <= 0:
                continue
            if found.physical is None:
                # Of a file of a disk it is the mark of a page that was taken back.
                swapped += length if is_of_memory else 0
            elif found.is_current:
                in_memory += length
                if self._with_runs:
                    _append(runs, FileRun(offset, length, found.physical))
        return FileInMemory(
            path=path,
            filesystem=filesystem.name,
            device=filesystem.device,
            inode=inode["i_ino"],
            mode=mode,
            uid=inode["i_uid.val"],
            gid=inode["i_gid.val"],
            mtime_s=inode[self._mtime] if self._mtime else 0,
            size=size,
            in_memory=in_memory,
            swapped=swapped,
            is_of_memory=is_of_memory,
            link=inode.text_at("i_link", _MAX_LINK) if kind == stat.S_IFLNK else "",
            runs=tuple(runs),
        )


def _append(runs: list[FileRun], run: FileRun) -> None:
    """Add a run, to the last one where it goes on from there."""
    if runs:
        last = runs[-1]
        if last.offset + last.size == run.offset and last.physical + last.size == run.physical:
            runs[-1] = FileRun(last.offset, last.size + run.size, PhysicalAddress(last.physical))
            return
    runs.append(run)
