"""A root file system as an initramfs: a tar goes in, a ``newc`` cpio archive comes out, always the same.

The kernel unpacks a cpio archive of format ``newc`` into its first root (Documentation/driver-api/early-userspace/
buffer-format.rst): for each entry the magic ``070701``, thirteen numbers of eight hexadecimal digits (inode, mode,
uid, gid, links, time, size, device major and minor, special file's major and minor, length of the name, 0), the name
with its NUL, padded to four bytes, the content, padded likewise; the entry ``TRAILER!!!`` ends it. Entries that share
an inode number and have more than one link are hard links; the first carries the content. All times are 0.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

from .packages import ARCHIVE_ERRORS, decompress_stream

TREE_LIMIT = 512 << 20
"""Bytes of content that a tree may hold."""
ENTRY_LIMIT = 100_000
"""Entries that a tree may hold."""
_TRAILER = "TRAILER!!!"
_NAME_LIMIT = 4095  # PATH_MAX of Linux, less the NUL


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree: `mode` is its ``st_mode``, `content` a link's target; hard links share their `inode`."""

    inode: int
    mode: int
    content: bytes = b""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)


class Tree:
    """Files by path, in the order in which they are written; a parent always comes before what it holds."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._inodes = 0
        self._size = 0

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self, path: str, mode: int, content: bytes = b"", uid: int = 0, gid: int = 0, device: tuple[int, int] = (0, 0)
    ) -> None:
        """Put a file of `mode` (type and permissions) at `path`, over what was there, with the folders it needs.

        `ValueError` for a path that is absolute, climbs with ``..``, is too long, or is below a plain file.
        """
        self._inodes += 1
        self._put(path, Entry(self._inodes, mode, content, uid, gid, device))

    def add_file(self, path: str, content: bytes, permissions: int = 0o644) -> None:
        """Put a plain file at `path`, owned by root."""
        self.add(path, stat.S_IFREG | permissions, content)

    def link(self, path: str, target: str) -> None:
        """Make `path` a hard link to the plain file at `target`; `ValueError` where there is none."""
        first = self._entries.get(_clean(target))
        if first is None or not stat.S_ISREG(first.mode):
            raise ValueError(f"{path!r} is a hard link to {target!r}, which is not an earlier file")
        self._put(path, first)

    def _put(self, path: str, entry: Entry) -> None:
        path = _clean(path)
        if not path:
            return
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.add(parent, stat.S_IFDIR | 0o755)
        elif parent and not (stat.S_ISDIR(mode := self._entries[parent].mode) or stat.S_ISLNK(mode)):
            raise ValueError(f"{path!r} is below a plain file")
        self._size += len(entry.content)
        if self._size > TREE_LIMIT or len(self._entries) >= ENTRY_LIMIT:
            raise ValueError(f"more than {TREE_LIMIT >> 20} MiB or {ENTRY_LIMIT} files")
        self._entries[path] = entry

    def to_cpio(self) -> bytes:
        """The tree as a ``newc`` archive."""
        links = Counter(entry.inode for entry in self._entries.values())
        numbers: dict[int, int] = {}
        archive = bytearray()
        for path, entry in self._entries.items():
            first = entry.inode not in numbers
            number = numbers.setdefault(entry.inode, len(numbers) + 1)
            count = 2 if stat.S_ISDIR(entry.mode) else links[entry.inode]
            _append(archive, path, entry, number, count, entry.content if first else b"")
        _append(archive, _TRAILER, Entry(0, 0), 0, 1, b"")
        return bytes(archive)


def read_tar(archive: bytes, name: str) -> Tree:
    """The tree in the tar `archive`, decompressed as its `name` says; `ValueError` on damage or hostile content."""
    tree = Tree()
    try:
        with tarfile.open(fileobj=decompress_stream(io.BytesIO(archive), name), mode="r|") as tar:
            for member in tar:
                _add_member(tree, tar, member)
    except ARCHIVE_ERRORS as error:
        raise ValueError(f"{name} is not a usable tar: {error}") from None
    return tree


def compress(archive: bytes) -> bytes:
    """`archive` as the initrd file: gzip at its quickest, which every kernel reads.

    Zstandard boots in the same time under emulation; no compression at all saves 3 % and costs twice the memory.
    """
    return gzip.compress(archive, 1, mtime=0)


_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


def _add_member(tree: Tree, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    permissions, uid, gid = member.mode & 0o7777, member.uid & 0xFFFFFFFF, member.gid & 0xFFFFFFFF
    if member.isreg():
        if member.size > TREE_LIMIT:
            raise ValueError(f"{member.name!r} is larger than {TREE_LIMIT >> 20} MiB")
        content = cast(IO[bytes], tar.extractfile(member)).read()
        tree.add(member.name, stat.S_IFREG | permissions, content, uid, gid)
    elif member.issym():
        tree.add(member.name, stat.S_IFLNK | 0o777, _encode(member.linkname), uid, gid)
    elif member.islnk():
        tree.link(member.name, member.linkname)
    elif member.type in _KINDS:
        device = (member.devmajor, member.devminor) if member.ischr() or member.isblk() else (0, 0)
        if not all(0 <= number < 1 << 20 for number in device):
            raise ValueError(f"{member.name!r} is device {device}, which does not exist")
        tree.add(member.name, _KINDS[member.type] | permissions, b"", uid, gid, device)
    else:
        raise ValueError(f"{member.name!r} has a type that a root file system cannot hold")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _clean(path: str) -> str:
    """`path` without ``.`` parts; empty for the root itself."""
    if path.startswith("/") or "\0" in path or ".." in path.split("/") or len(_encode(path)) > _NAME_LIMIT:
        raise ValueError(f"path {path[:80]!r} leads out of the tree or is too long")
    clean = str(PurePosixPath(path))
    if clean == _TRAILER:
        raise ValueError(f"path {path!r} would end the archive")
    return "" if clean == "." else clean


def _append(archive: bytearray, path: str, entry: Entry, number: int, links: int, content: bytes) -> None:
    name = _encode(path) + b"\0"
    fields = (number, entry.mode, entry.uid, entry.gid, links, 0, len(content), 0, 0, *entry.device, len(name), 0)
    archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
    archive += bytes(-len(archive) % 4)
    archive += content
    archive += bytes(-len(archive) % 4)
