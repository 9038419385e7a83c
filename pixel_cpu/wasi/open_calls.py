"""The call that opens files and directories."""

from __future__ import annotations

import functools
import os

import numpy as np

from . import abi
from .abi import Errno, Oflags, Rights, errno_of
from .call import Call
from .descriptors import CAN_READ, CAN_WRITE, ROW, Kind
from .guest import Array
from .path_calls import directories_of, equal_paths, file_numbers, texts
from .state import State


def path_open(
    state: State, call: Call, fd: Array, lookup: Array, path: Array, length: Array, how: Array, rights: Array,
    inheriting: Array, flags: Array, fd_at: Array,
) -> None:  # fmt: skip
    """Open a file or a directory, equal ones that change nothing once for all lanes."""
    at = call.in_memory(call.rows, fd_at, 4)
    is_known = (lookup < 2) & (how < 16) & (flags < 32) & (rights & ~abi.ALL_RIGHTS == 0)
    at = call.keep(at, is_known[at], Errno.INVAL)
    at, paths = texts(call, at, path, length)
    at = call.keep(at, state.descriptors.kinds(call.lanes[at], fd[at]) != Kind.FILE, Errno.NOTDIR)
    at = directories_of(state, call, at, fd)
    access = np.where(rights & int(Rights.FD_WRITE), CAN_WRITE, CAN_READ) | np.where(
        rights & int(Rights.FD_READ), CAN_READ, 0
    )
    access = access | np.where(how & int(Oflags.CREAT | Oflags.TRUNC), CAN_WRITE, 0)
    changing = int(Oflags.CREAT | Oflags.EXCL | Oflags.TRUNC)
    at = call.keep(at, flags[at] & int(abi.Fdflags.DSYNC | abi.Fdflags.RSYNC | abi.Fdflags.SYNC) == 0, Errno.NOTSUP)
    at = call.keep(at, ((how[at] & int(Oflags.DIRECTORY)) == 0) | (how[at] & changing == 0), Errno.INVAL)
    reads = (access[at] & CAN_WRITE) == 0
    at = call.keep(at, reads | state.is_writable(call.lanes[at], fd[at]), Errno.PERM)
    at, directories = file_numbers(state, call, at, fd)
    rows = np.zeros(len(call.lanes), ROW)
    rows["preopen"], rows["flags"], rows["access"] = state.preopen_of(call.lanes, fd), flags, access
    got: list[tuple[int, int, int]] = []
    for members in equal_paths(at, paths, directories, lookup, how, access, is_once=how & changing == 0):
        row = members[0]
        try:
            directory = state.files[directories[row]]
            root = state.root_of(int(call.lanes[row]), int(rows["preopen"][row]))
            file = state.files.open(
                root, directory, paths[row], _host_flags(int(how[row]), int(access[row]), int(lookup[row]))
            )
        except OSError as error:
            call.fail(np.array(members), errno_of(error))
            continue
        file.users += len(members) - 1
        kind = Kind.DIRECTORY if file.is_directory else Kind.FILE
        got.extend((each, kind, file.number) for each in members)
    found = np.array(got, np.int64).reshape(-1, 3)
    rows["kind"][found[:, 0]], rows["file"][found[:, 0]] = found[:, 1], found[:, 2]
    rows["flags"][rows["kind"] == Kind.DIRECTORY] = 0
    at = at[call.errors[at] == 0]
    numbers = state.descriptors.add(call.lanes[at], rows[at])
    for row in at[numbers < 0].tolist():
        state.files.release(state.files[int(rows["file"][row])])
    at = call.keep(at, numbers >= 0, Errno.MFILE)
    call.put(at, fd_at, numbers[numbers >= 0], "<u4")


@functools.cache
def _host_flags(how: int, access: int, lookup: int) -> int:
    flags = {CAN_READ: os.O_RDONLY, CAN_WRITE: os.O_WRONLY, CAN_READ | CAN_WRITE: os.O_RDWR}[access]
    for wanted, flag in (
        (Oflags.CREAT, os.O_CREAT), (Oflags.EXCL, os.O_EXCL), (Oflags.TRUNC, os.O_TRUNC), (Oflags.DIRECTORY, os.O_DIRECTORY),
    ):  # fmt: skip
        flags |= flag if how & wanted else 0
    return flags | (0 if lookup & abi.SYMLINK_FOLLOW else os.O_NOFOLLOW)
