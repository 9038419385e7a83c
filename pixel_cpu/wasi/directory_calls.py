"""The call that lists directories."""

from __future__ import annotations

import os

import numpy as np

from . import abi
from .abi import errno_of
from .call import Call
from .descriptor_calls import opened
from .descriptors import Kind
from .files import HostFile
from .guest import Array, groups
from .state import State


def fd_readdir(
    state: State, call: Call, fd: Array, buffer: Array, length: Array, cookie: Array, used_at: Array
) -> None:
    """Entries of a directory from `cookie` on, the last one cut where the buffer ends.

    A lane sees the entries as they were when it began at cookie 0.
    """
    at = call.in_memory(call.in_memory(call.rows, used_at, 4), buffer, length)
    at = opened(state, call, at, fd, Kind.PREOPEN, Kind.DIRECTORY)
    files = state.files_of(call, at, fd)
    at = at[call.errors[at] == 0]
    for group in groups(files, cookie[at], length[at]):
        file, begin, size = state.files[int(files[group[0]])], int(cookie[at[group[0]]]), int(length[at[group[0]]])
        listing = None
        served: dict[int, Array] = {}
        for row in at[group].tolist():
            key = (int(call.lanes[row]), int(fd[row]))
            try:
                if begin == 0 or key not in state.listings:
                    listing = listing or _listing(state, file)
                    state.listings[key] = listing
            except OSError as error:
                call.fail(row, errno_of(error))
                continue
            entries = state.listings[key]
            if id(entries) not in served:
                served[id(entries)] = _entries(entries, begin, size)
            content = served[id(entries)]
            one = np.array([row])
            call.guest.write(one, buffer[one], content[None, :])
            call.put(one, used_at, len(content), "<u4")


def _listing(state: State, file: HostFile) -> list[bytes]:
    """The entries of a directory, each as a lane reads it; sorted, so that all hosts give the same order."""
    host = state.files.host(file)
    own = os.fstat(host).st_ino
    found = [(b".", own, abi.Filetype.DIRECTORY), (b"..", own, abi.Filetype.DIRECTORY)]
    with os.scandir(host) as entries:
        names = sorted((os.fsencode(entry.name), entry) for entry in entries)
        for name, entry in names:
            kind = abi.Filetype.UNKNOWN
            if entry.is_symlink():
                kind = abi.Filetype.SYMBOLIC_LINK
            elif entry.is_dir(follow_symlinks=False):
                kind = abi.Filetype.DIRECTORY
            elif entry.is_file(follow_symlinks=False):
                kind = abi.Filetype.REGULAR_FILE
            found.append((name, entry.inode(), kind))
    listed = []
    for place, (name, inode, kind) in enumerate(found, 1):
        head = np.zeros(1, abi.DIRENT)
        head["next"], head["ino"], head["length"], head["type"] = place, inode, len(name), kind
        listed.append(head.tobytes() + name)
    return listed


def _entries(listing: list[bytes], begin: int, size: int) -> Array:
    """As many bytes of the entries from one on as `size`."""
    taken, total = [], 0
    for entry in listing[begin:] if begin >= 0 else []:
        if total >= size:
            break
        taken.append(entry)
        total += len(entry)
    return np.frombuffer(b"".join(taken)[:size], np.uint8)
