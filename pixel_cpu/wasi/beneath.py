"""Paths that never lead out of a directory, whatever links, ``..`` and renames by others do meanwhile.

The kernel resolves them (``openat2``, Linux 5.6); where it lacks that call, or a sandbox forbids it, a walk from directory to directory does.
What changes a directory acts on a name in a parent that was opened so, and never follows a link in that name.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Iterator

_OPENAT2 = 437
_NO_MAGIC_LINKS, _BENEATH = 0x02, 0x08
_AT_EMPTY_PATH = 0x1000
_AGAIN = 64
"""Times that a path is resolved anew because a rename elsewhere made ``..`` ambiguous."""
_MOST_LINKS = 40
MOST_PATH = 4095
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def _error(number: int, path: bytes) -> OSError:
    return OSError(number, os.strerror(number), path)


def check_path(path: bytes) -> None:
    """Raise `OSError` for a path that cannot lie beneath a directory, or is none."""
    if not path:
        raise _error(errno.ENOENT, path)
    if b"\0" in path:
        raise _error(errno.EINVAL, path)
    if len(path) > MOST_PATH:
        raise _error(errno.ENAMETOOLONG, path)
    if path.startswith(b"/"):
        raise _error(errno.EPERM, path)


def open_beneath(directory: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open a path below a directory; `flags` are those of `os.open`, ``O_NOFOLLOW`` for the last name only.

    Raises `OSError`: EPERM for a path that leads out, as wasmtime says it.
    """
    check_path(path)
    flags |= os.O_CLOEXEC
    mode = mode if flags & os.O_CREAT else 0
    return (_by_kernel if has_openat2() else _by_walk)(directory, path, flags, mode)


@functools.cache
def has_openat2() -> bool:
    """Whether the kernel resolves paths beneath a directory."""
    try:
        os.close(_by_kernel(os.open("/", os.O_PATH | os.O_CLOEXEC), b".", os.O_PATH | os.O_CLOEXEC, 0, keep=False))
    except OSError:
        return False
    return True


def _by_kernel(directory: int, path: bytes, flags: int, mode: int, *, keep: bool = True) -> int:
    how = _How(flags, mode, _BENEATH | _NO_MAGIC_LINKS)
    try:
        for _ in range(_AGAIN):
            found = _libc.syscall(_OPENAT2, directory, path, ctypes.byref(how), ctypes.sizeof(how))
            if found >= 0:
                return int(found)
            number = ctypes.get_errno()
            if number not in (errno.EAGAIN, errno.EINTR):
                break
    finally:
        if not keep:
            os.close(directory)
    raise _error(errno.EPERM if number == errno.EXDEV else number, path)


def _by_walk(directory: int, path: bytes, flags: int, mode: int) -> int:
    # The open directories from `directory` down: ``..`` goes back to the one before, and never to what the kernel calls the parent.
    held = [os.dup(directory)]
    links, names = 0, _names(path)
    must_be_directory = False
    try:
        while names:
            name = names.pop()
            if name == b"..":
                if len(held) == 1:
                    raise _error(errno.EPERM, path)
                os.close(held.pop())
                name = b"."
            is_last = not [each for each in names if each != b"."]
            if name == b"." and not is_last:
                continue
            must_be_directory |= is_last and bool(names)
            target = None
            if not is_last or flags & (os.O_PATH | os.O_NOFOLLOW) != os.O_NOFOLLOW:
                target = _link_at(held[-1], name)
            if target is not None and (not is_last or must_be_directory or not flags & os.O_NOFOLLOW):
                if flags & os.O_EXCL and flags & os.O_CREAT and is_last:
                    raise _error(errno.EEXIST, path)
                links += 1
                if links > _MOST_LINKS:
                    raise _error(errno.ELOOP, path)
                check_path(target)
                names.extend(_names(target))
                continue
            if is_last:
                wanted = flags | os.O_NOFOLLOW | (os.O_DIRECTORY if must_be_directory else 0)
                try:
                    return os.open(name, wanted, mode, dir_fd=held[-1])
                except OSError as error:
                    # A link took the name's place between the look and the opening.
                    if error.errno != errno.ELOOP or flags & os.O_NOFOLLOW or links >= _MOST_LINKS:
                        raise
                    links += 1
                    names.append(name)
                    continue
            held.append(os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held[-1]))
        return os.open(b".", flags, mode, dir_fd=held[-1])
    finally:
        for each in held:
            os.close(each)


def _names(path: bytes) -> list[bytes]:
    """The names of a path, the first one last; a slash at the end is a name of its own, so that a directory must be there."""
    found = [name for name in path.split(b"/") if name]
    if path.endswith(b"/"):
        found.append(b".")
    return found[::-1]


def _link_at(directory: int, name: bytes) -> bytes | None:
    """What a link says, None for anything else."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


@contextlib.contextmanager
def parent_of(directory: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The directory that holds the last name of a path, and that name with its slash, if it has one.

    The name is for calls that act on names; none of them follows a link in it or goes up by ``..``.
    """
    check_path(path)
    bare = path.rstrip(b"/")
    before, _, name = bare.rpartition(b"/")
    if name == b"..":  # says EPERM if it leads out
        os.close(open_beneath(directory, bare, os.O_PATH))
    slash = path[len(bare) : len(bare) + 1]
    if not before:
        yield directory, name + slash
        return
    parent = open_beneath(directory, before, os.O_PATH | os.O_DIRECTORY)
    try:
        yield parent, name + slash
    finally:
        os.close(parent)


@contextlib.contextmanager
def looked_up(directory: int, path: bytes, *, follow: bool) -> Iterator[int]:
    """A handle (``O_PATH``) of what a path names."""
    found = open_beneath(directory, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
    try:
        yield found
    finally:
        os.close(found)


def read_link(handle: int) -> bytes:
    """What the link says that a handle is of; EINVAL for anything else."""
    if not stat.S_ISLNK(os.fstat(handle).st_mode):
        raise _error(errno.EINVAL, b"")
    return os.readlink(b"", dir_fd=handle)


def set_times(handle: int, accessed: tuple[int, int], modified: tuple[int, int]) -> None:
    """Set the times of what a handle is of, as (seconds, nanoseconds); the latter may be `UTIME_NOW` or `UTIME_OMIT`."""
    times = (_Time * 2)(_Time(*accessed), _Time(*modified))
    if _libc.utimensat(handle, b"", times, _AT_EMPTY_PATH):
        raise _error(ctypes.get_errno(), b"")
