"""Files that lanes have open on the host: equal ones once, and no more at a time than the host allows.

A file that no lane used for long is closed when others need its descriptor, and opened again by its path when a lane comes back to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from .beneath import open_beneath

_LEFT_TO_OTHERS = 128
"""Descriptors of the host that the rest of the process may need."""


def most_host_files() -> int:
    """How many files may be open on the host at a time: most of what the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(16, soft - max(_LEFT_TO_OTHERS, soft // 4))


@dataclass(slots=True, eq=False)
class HostFile:
    """A file of the host. `identity` is device and inode, `flags` those it is opened with again, `users` how many descriptors of lanes are of it,
    `holds` who needs its descriptor to stay open."""

    root: HostFile | None
    flags: int
    identity: tuple[int, int]
    mode: int
    number: int = -1
    host: int | None = None
    path: bytes = b""
    users: int = 1
    children: int = 0
    holds: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file: one with positions that ends."""
        return stat.S_ISREG(self.mode)


class Files:
    """All open files of a run, by number."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most or most_host_files()
        self._files: list[HostFile | None] = []
        self._free: list[int] = []
        self._by_identity: dict[tuple[int, tuple[int, int], int], HostFile] = {}
        self._open: OrderedDict[int, HostFile] = OrderedDict()
        self._directories: OrderedDict[int, HostFile] = OrderedDict()
        self._closed: dict[tuple[int, int], list[HostFile]] = {}

    def __getitem__(self, number: int) -> HostFile:
        found = self._files[number]
        assert found
        return found

    @property
    def opened(self) -> int:
        """Descriptors of the host that are open now."""
        return len(self._open) + len(self._directories)

    def _place_of(self, file: HostFile) -> OrderedDict[int, HostFile]:
        return self._directories if file.is_directory else self._open

    def open_root(self, path: str | bytes) -> HostFile:
        """A directory of the host, kept open to the end. Raises `OSError`."""
        return self._add(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), None, 0)

    def open(self, root: HostFile, directory: HostFile, path: bytes, flags: int, mode: int = 0o666) -> HostFile:
        """Open a path beneath a directory; a file that is open with the same rights gets one user more. Raises `OSError`."""
        with self.held(directory) as parent:
            self._make_room()
            # Without blocking: a pipe would keep all lanes waiting.
            host = open_beneath(parent, path, flags | os.O_NONBLOCK | os.O_NOCTTY, mode)
        again = flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_NOFOLLOW)
        return self._add(host, root, again)

    def _add(self, host: int, root: HostFile | None, flags: int) -> HostFile:
        found = os.fstat(host)
        identity = (found.st_dev, found.st_ino)
        shared = self._by_identity.get((root.number if root else -1, identity, flags)) if root else None
        if shared:
            if shared.host is None:
                self._reopened(shared, host)
            else:
                os.close(host)
            shared.users += 1
            return shared
        file = HostFile(root, flags, identity, found.st_mode, host=host)
        if self._free:
            file.number = self._free.pop()
            self._files[file.number] = file
        else:
            file.number = len(self._files)
            self._files.append(file)
        self._place_of(file)[file.number] = file
        if root:
            root.children += 1
            self._by_identity[root.number, identity, flags] = file
        return file

    def host(self, file: HostFile) -> int:
        """The host's descriptor of a file, opened again if need be. Raises `OSError`: ESTALE where the path names another file now."""
        if file.host is not None:
            self._place_of(file).move_to_end(file.number)
            return file.host
        assert file.root
        with self.held(file.root) as parent:
            self._make_room()
            beneath = os.path.relpath(file.path, path_of(parent))
            host = open_beneath(parent, beneath, file.flags | os.O_NONBLOCK | os.O_NOCTTY)
        found = os.fstat(host)
        if (found.st_dev, found.st_ino) != file.identity:
            os.close(host)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        self._reopened(file, host)
        return host

    @contextlib.contextmanager
    def held(self, file: HostFile) -> Iterator[int]:
        """The host's descriptor of a file, which stays open meanwhile, whatever else is opened. Raises `OSError`."""
        host = self.host(file)
        file.holds += 1
        try:
            yield host
        finally:
            file.holds -= 1

    def _reopened(self, file: HostFile, host: int) -> None:
        file.host = host
        self._place_of(file)[file.number] = file
        others = [each for each in self._closed.pop(file.identity, []) if each is not file]
        if others:
            self._closed[file.identity] = others

    def release(self, file: HostFile, users: int = 1) -> None:
        """Take users from a file; without any it is closed."""
        file.users -= users
        if file.users > 0 or file.children > 0:
            return
        if file.host is not None:
            os.close(file.host)
            del self._place_of(file)[file.number]
            file.host = None
        else:
            others = [each for each in self._closed.pop(file.identity, []) if each is not file]
            if others:
                self._closed[file.identity] = others
        self._files[file.number] = None
        self._free.append(file.number)
        if file.root:
            self._by_identity.pop((file.root.number, file.identity, file.flags), None)
            file.root.children -= 1
            self.release(file.root, 0)

    def _make_room(self) -> None:
        """Close what was not used for longest, where a path leads back to it; EMFILE where nothing can be closed."""
        if self.opened < self.most:
            return
        # Directories first: between two openings of paths nobody needs them.
        for opened in (self._directories, self._open):
            for _ in range(len(opened)):
                number, file = next(iter(opened.items()))
                if self._can_reopen(file):
                    assert file.host is not None
                    os.close(file.host)
                    file.host = None
                    del opened[number]
                    self._closed.setdefault(file.identity, []).append(file)
                    return
                opened.move_to_end(number)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _can_reopen(self, file: HostFile) -> bool:
        if file.root is None or file.holds or not (file.is_regular or file.is_directory):
            return False
        assert file.host is not None
        with contextlib.suppress(OSError):
            file.path = path_of(file.host)
            above = file.root.path if file.root.host is None else path_of(file.root.host)
            found = os.stat(file.path, follow_symlinks=False)
            return file.path.startswith(above + b"/") and (found.st_dev, found.st_ino) == file.identity
        return False

    def before_removal(self, found: os.stat_result) -> None:
        """Open a file again whose path is about to go. Raises `OSError`."""
        for file in list(self._closed.get((found.st_dev, found.st_ino), ())):
            self.host(file)

    @property
    def closed(self) -> int:
        """Files that lanes have open, and the host not."""
        return sum(map(len, self._closed.values()))

    def moved(self, old: bytes, new: bytes) -> None:
        """A path of the host has another name now, and so has all below it."""
        for file in [each for files in self._closed.values() for each in files]:
            if file.path == old or file.path.startswith(old + b"/"):
                file.path = new + file.path[len(old) :]

    def close(self) -> None:
        """Close everything."""
        for file in (*self._open.values(), *self._directories.values()):
            if file.host is not None:
                os.close(file.host)
                file.host = None
        self._open.clear()
        self._directories.clear()
        self._closed.clear()
        self._files.clear()
        self._by_identity.clear()


def path_of(host: int) -> bytes:
    """The path that the host knows a descriptor by."""
    return os.readlink(b"/proc/self/fd/%d" % host)
