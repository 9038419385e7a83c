"""Calls about paths beneath a directory that a lane has open."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

import numpy as np

from . import abi
from .abi import Errno, errno_of
from .beneath import MOST_PATH, looked_up, parent_of, read_link, set_times
from .call import Call
from .descriptor_calls import opened, times_of
from .descriptors import Kind
from .files import path_of
from .guest import Array, Index
from .state import State


def texts(call: Call, at: Index, start: Array, length: Array) -> tuple[Index, dict[int, bytes]]:
    """The path of each row; ENAMETOOLONG, EFAULT and EILSEQ for what is none."""
    at = call.keep(at, length[at] <= MOST_PATH, Errno.NAMETOOLONG)
    at = call.in_memory(at, start, length)
    found = dict(zip(at.tolist(), call.guest.texts(at, start[at], length[at]), strict=True))
    good = {path: _is_text(path) for path in set(found.values())}
    if not all(good.values()):
        at = call.keep(at, np.array([good[found[row]] for row in at.tolist()]), Errno.ILSEQ)
    return at, found


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def directories_of(state: State, call: Call, at: Index, *fds: Array) -> Index:
    """The rows whose descriptors are of directories; EBADF for others."""
    for fd in fds:
        at = opened(state, call, at, fd, Kind.PREOPEN, Kind.DIRECTORY)
    return at


def _writable(state: State, call: Call, at: Index, *fds: Array) -> Index:
    """The rows whose descriptors are of what may be written; EPERM for others."""
    for fd in fds:
        at = call.keep(at, state.is_writable(call.lanes[at], fd[at]), Errno.PERM)
    return at


def file_numbers(state: State, call: Call, at: Index, fd: Array) -> tuple[Index, dict[int, int]]:
    """The file number of the directory behind each row's descriptor."""
    files = state.files_of(call, at, fd)
    at = at[call.errors[at] == 0]
    return at, dict(zip(at.tolist(), files.tolist(), strict=True))


def _each(call: Call, at: Index, act: Callable[[int], None]) -> None:
    """Act for each row, in the order of lanes."""
    for row in at.tolist():
        try:
            act(row)
        except OSError as error:
            call.fail(row, errno_of(error))


def equal_paths(
    at: Index, paths: dict[int, bytes], directories: dict[int, int], *keys: Array, is_once: Array
) -> Iterator[list[int]]:
    """Rows that ask the same; each row alone that is not of `is_once`."""
    found: dict[tuple[object, ...], list[int]] = {}
    columns = [key[at].tolist() for key in keys]
    for place, row in enumerate(at.tolist()):
        key = (paths[row], directories[row], *(column[place] for column in columns), -1 if is_once[row] else row)
        found.setdefault(key, []).append(row)
    yield from found.values()


def _at_name(
    state: State, call: Call, fd: Array, path: Array, length: Array, act: Callable[[int, bytes], None]
) -> None:
    """Act on the parent, a directory of the host, and the last name of each row's path beneath what may be written."""
    at, paths = texts(call, directories_of(state, call, call.rows, fd), path, length)
    at, directories = file_numbers(state, call, _writable(state, call, at, fd), fd)

    def act_on(row: int) -> None:
        with state.files.held(state.files[directories[row]]) as top, parent_of(top, paths[row]) as (parent, name):
            act(parent, name)

    _each(call, at, act_on)


def path_create_directory(state: State, call: Call, fd: Array, path: Array, length: Array) -> None:
    """Make a directory."""
    _at_name(state, call, fd, path, length, lambda parent, name: os.mkdir(name, dir_fd=parent))


def path_remove_directory(state: State, call: Call, fd: Array, path: Array, length: Array) -> None:
    """Remove an empty directory."""

    def remove(parent: int, name: bytes) -> None:
        state.before_removal(parent, name)
        os.rmdir(name, dir_fd=parent)

    _at_name(state, call, fd, path, length, remove)


def path_unlink_file(state: State, call: Call, fd: Array, path: Array, length: Array) -> None:
    """Remove a name of a file."""

    def unlink(parent: int, name: bytes) -> None:
        state.before_removal(parent, name)
        os.unlink(name, dir_fd=parent)

    _at_name(state, call, fd, path, length, unlink)


def path_rename(
    state: State, call: Call, fd: Array, old: Array, old_length: Array, new_fd: Array, new: Array, new_length: Array
) -> None:
    """Move a file or directory, within what may be written."""
    at, paths = texts(call, directories_of(state, call, call.rows, fd, new_fd), old, old_length)
    at, new_paths = texts(call, at, new, new_length)
    at, directories = file_numbers(state, call, _writable(state, call, at, fd, new_fd), fd)
    at, new_directories = file_numbers(state, call, at, new_fd)

    def act(row: int) -> None:
        with (
            state.files.held(state.files[directories[row]]) as top,
            parent_of(top, paths[row]) as (parent, name),
            state.files.held(state.files[new_directories[row]]) as new_top,
            parent_of(new_top, new_paths[row]) as (new_parent, new_name),
        ):
            state.before_removal(new_parent, new_name)
            os.rename(name, new_name, src_dir_fd=parent, dst_dir_fd=new_parent)
            if state.files.closed:
                moved = (path_of(parent) + b"/" + name.rstrip(b"/"), path_of(new_parent) + b"/" + new_name.rstrip(b"/"))
                state.files.moved(*moved)

    _each(call, at, act)


def path_link(
    state: State,
    call: Call,
    fd: Array,
    lookup: Array,
    old: Array,
    old_length: Array,
    new_fd: Array,
    new: Array,
    new_length: Array,
) -> None:
    """Give a file one more name; never what a link leads to, and nothing out of a read-only directory."""
    at = directories_of(state, call, call.keep(call.rows, lookup < 2, Errno.INVAL), fd, new_fd)
    at, paths = texts(call, at, old, old_length)
    at, new_paths = texts(call, at, new, new_length)
    at, directories = file_numbers(state, call, _writable(state, call, at, fd, new_fd), fd)
    at, new_directories = file_numbers(state, call, at, new_fd)
    at = call.keep(at, lookup[at] == 0, Errno.INVAL)

    def act(row: int) -> None:
        with (
            state.files.held(state.files[directories[row]]) as top,
            parent_of(top, paths[row]) as (parent, name),
            state.files.held(state.files[new_directories[row]]) as new_top,
            parent_of(new_top, new_paths[row]) as (new_parent, new_name),
        ):
            if name.endswith(b"/"):  # the kernel would follow a link to see whether it leads to a directory
                found = os.stat(name.rstrip(b"/"), dir_fd=parent, follow_symlinks=False)
                raise OSError(errno.EPERM if stat.S_ISDIR(found.st_mode) else errno.ENOTDIR, "a directory has one name")
            os.link(name, new_name, src_dir_fd=parent, dst_dir_fd=new_parent, follow_symlinks=False)

    _each(call, at, act)


def path_symlink(
    state: State, call: Call, target: Array, target_length: Array, fd: Array, path: Array, length: Array
) -> None:
    """Make a link; absolute ones are refused."""
    at, targets = texts(call, directories_of(state, call, call.rows, fd), target, target_length)
    at, paths = texts(call, at, path, length)
    at, directories = file_numbers(state, call, _writable(state, call, at, fd), fd)

    def act(row: int) -> None:
        if targets[row].startswith(b"/"):
            raise OSError(errno.EPERM, "an absolute link")
        if b"\0" in targets[row]:
            raise OSError(errno.EINVAL, "a link with NUL")
        with state.files.held(state.files[directories[row]]) as top, parent_of(top, paths[row]) as (parent, name):
            os.symlink(targets[row], name, dir_fd=parent)

    _each(call, at, act)


def path_readlink(
    state: State, call: Call, fd: Array, path: Array, length: Array, buffer: Array, size: Array, used_at: Array
) -> None:
    """What a link says, cut where the buffer ends."""
    at = call.in_memory(call.in_memory(call.rows, used_at, 4), buffer, size)
    at, paths = texts(call, directories_of(state, call, at, fd), path, length)
    at, directories = file_numbers(state, call, at, fd)

    def act(row: int) -> None:
        with looked_up(state.files.host(state.files[directories[row]]), paths[row], follow=False) as handle:
            found = read_link(handle)
        if found.startswith(b"/"):
            raise OSError(errno.EPERM, "an absolute link")
        content, one = found[: int(size[row])], np.array([row])
        call.guest.write(one, buffer[one], np.frombuffer(content, np.uint8)[None, :])
        call.put(one, used_at, len(content), "<u4")

    _each(call, at, act)


def path_filestat_get(
    state: State, call: Call, fd: Array, lookup: Array, path: Array, length: Array, stat_at: Array
) -> None:
    """What the host says of a path, asked once for equal paths."""
    at = call.in_memory(call.keep(call.rows, lookup < 2, Errno.INVAL), stat_at, abi.FILESTAT.itemsize)
    at, paths = texts(call, directories_of(state, call, at, fd), path, length)
    at, directories = file_numbers(state, call, at, fd)
    for members in equal_paths(at, paths, directories, lookup, is_once=np.ones(len(call.lanes), bool)):
        row, rows = members[0], np.array(members)
        try:
            directory = state.files.host(state.files[directories[row]])
            with looked_up(directory, paths[row], follow=bool(lookup[row])) as handle:
                found = abi.filestat_of(os.fstat(handle))
        except OSError as error:
            call.fail(rows, errno_of(error))
            continue
        call.guest.write_records(rows, stat_at[rows], found)


def path_filestat_set_times(
    state: State,
    call: Call,
    fd: Array,
    lookup: Array,
    path: Array,
    length: Array,
    accessed: Array,
    modified: Array,
    flags: Array,
) -> None:
    """Set the times of what a path names."""
    at, times = times_of(call, call.keep(call.rows, lookup < 2, Errno.INVAL), accessed, modified, flags)
    at, paths = texts(call, directories_of(state, call, at, fd), path, length)
    at, directories = file_numbers(state, call, _writable(state, call, at, fd), fd)

    def act(row: int) -> None:
        directory = state.files.host(state.files[directories[row]])
        if not (lookup[row] or flags[row] or paths[row].endswith(b"/")):
            # As utimensat(2) has it: where nothing is set and no link followed, nobody looks for the last name.
            with parent_of(directory, paths[row]):
                return
        with looked_up(directory, paths[row], follow=bool(lookup[row])) as handle:
            set_times(handle, *times[row])

    _each(call, at, act)
