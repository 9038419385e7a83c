"""Calls about descriptors: what they are of, what is set, closing, directories' entries."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import numpy as np

from . import abi
from .abi import Errno, Fdflags, Fstflags, Rights, errno_of
from .beneath import UTIME_NOW, UTIME_OMIT, set_times
from .call import Call
from .descriptors import CAN_READ, CAN_WRITE, Kind
from .files import HostFile
from .guest import Array, Index, groups
from .state import State

_STDIO = (Kind.STDIN, Kind.STDOUT, Kind.STDERR)


def opened(state: State, call: Call, at: Index, fd: Array, *kinds: Kind, error: int = Errno.BADF) -> Index:
    """The rows whose descriptor is of one of these kinds; EBADF, or `error`, for the others."""
    found = state.descriptors.kinds(call.lanes[at], fd[at])
    return call.keep(at, np.isin(found, kinds), error)


def for_each_file(state: State, call: Call, at: Index, fd: Array, act: Callable[[HostFile], None]) -> None:
    """Do something to the file of each row, once for equal files."""
    files = state.files_of(call, at, fd)
    at = at[call.errors[at] == 0]
    for group in groups(files):
        try:
            act(state.files[int(files[group[0]])])
        except OSError as error:
            call.fail(at[group], errno_of(error))


def fd_close(state: State, call: Call, fd: Array) -> None:
    """Close a descriptor."""
    at = call.keep(call.rows, state.descriptors.kinds(call.lanes, fd) != Kind.FREE, Errno.BADF)
    state.close_descriptors(call.lanes[at], fd[at])


def fd_renumber(state: State, call: Call, fd: Array, to: Array) -> None:
    """Give a descriptor another number, whose own is closed."""
    at = call.keep(call.rows, state.descriptors.kinds(call.lanes, to) != Kind.FREE, Errno.BADF)
    at = call.keep(at, state.descriptors.kinds(call.lanes[at], fd[at]) != Kind.FREE, Errno.BADF)
    at = at[fd[at] != to[at]]
    lanes = call.lanes[at]
    moved = state.descriptors.get(lanes, fd[at])
    listings = [
        state.listings.pop((lane, number), None) for lane, number in zip(lanes.tolist(), fd[at].tolist(), strict=True)
    ]
    state.close_descriptors(lanes, to[at])
    state.descriptors.table[lanes, to[at]] = moved
    state.descriptors.free(lanes, fd[at])
    for lane, number, listing in zip(lanes.tolist(), to[at].tolist(), listings, strict=True):
        if listing is not None:
            state.listings[lane, number] = listing


def fd_fdstat_get(state: State, call: Call, fd: Array, stat_at: Array) -> None:
    """Kind, flags and rights of a descriptor."""
    at = call.in_memory(call.rows, stat_at, abi.FDSTAT.itemsize)
    kinds = state.descriptors.kinds(call.lanes, fd)
    at = call.keep(at, kinds[at] != Kind.FREE, Errno.BADF)
    rows, kinds = state.descriptors.get(call.lanes[at], fd[at]), kinds[at]
    found = np.zeros(len(at), abi.FDSTAT)
    rights = np.full(len(at), abi.ALL_RIGHTS, np.uint64)
    directories = kinds == Kind.DIRECTORY
    rights[directories] &= abi.ALL_RIGHTS & ~int(
        Rights.FD_SEEK | Rights.FD_FILESTAT_SET_SIZE | Rights.PATH_FILESTAT_SET_SIZE
    )
    rights[(rows["access"] & CAN_READ) == 0] &= abi.ALL_RIGHTS & ~int(Rights.FD_READ | Rights.FD_READDIR)
    rights[(rows["access"] & CAN_WRITE) == 0] &= abi.ALL_RIGHTS & ~int(Rights.FD_WRITE)
    rights[kinds == Kind.STDIN] = int(Rights.FD_READ)
    rights[(kinds == Kind.STDOUT) | (kinds == Kind.STDERR)] = int(Rights.FD_WRITE)
    found["rights"], found["inheriting"], found["flags"] = rights, rights, rows["flags"]
    preopens = kinds == Kind.PREOPEN
    found["rights"][preopens], found["inheriting"][preopens] = abi.PREOPEN_RIGHTS, abi.PREOPEN_INHERITING
    found["filetype"][preopens | directories] = abi.Filetype.DIRECTORY
    files = np.flatnonzero(kinds == Kind.FILE)
    for group in groups(rows["file"][files]) if len(files) else []:
        found["filetype"][files[group]] = abi.filetype_of(state.files[int(rows["file"][files[group[0]]])].mode)
    call.guest.write_records(at, stat_at[at], found)


def fd_fdstat_set_flags(state: State, call: Call, fd: Array, flags: Array) -> None:
    """Set APPEND and NONBLOCK."""
    at = call.keep(call.rows, flags < 32, Errno.INVAL)
    at = opened(state, call, at, fd, Kind.FILE)
    at = call.keep(at, flags[at] & int(Fdflags.DSYNC | Fdflags.RSYNC | Fdflags.SYNC) == 0, Errno.INVAL)
    state.descriptors.table["flags"][call.lanes[at], fd[at]] = flags[at]


def fd_fdstat_set_rights(state: State, call: Call, fd: Array, base: Array, inheriting: Array) -> None:
    """Refused, as in wasmtime."""
    call.fail(opened(state, call, call.rows, fd, Kind.PREOPEN, Kind.DIRECTORY, Kind.FILE), Errno.NOTSUP)


def fd_filestat_get(state: State, call: Call, fd: Array, stat_at: Array) -> None:
    """What the host says of a file."""
    at = call.in_memory(call.rows, stat_at, abi.FILESTAT.itemsize)
    kinds = state.descriptors.kinds(call.lanes, fd)
    at = call.keep(at, kinds[at] != Kind.FREE, Errno.BADF)
    streams = at[np.isin(kinds[at], _STDIO)]
    call.guest.write(streams, stat_at[streams], np.zeros((1, abi.FILESTAT.itemsize), np.uint8))
    at = at[~np.isin(kinds[at], _STDIO)]
    files = state.files_of(call, at, fd)
    at = at[call.errors[at] == 0]
    for group in groups(files):
        try:
            found = abi.filestat_of(os.fstat(state.files.host(state.files[int(files[group[0]])])))
        except OSError as error:
            call.fail(at[group], errno_of(error))
            continue
        call.guest.write_records(at[group], stat_at[at[group]], found)


def fd_filestat_set_size(state: State, call: Call, fd: Array, size: Array) -> None:
    """Cut a file, or lengthen it by zeros."""
    at = opened(state, call, call.rows, fd, Kind.FILE)
    at = call.keep(at, state.is_writable(call.lanes[at], fd[at]), Errno.PERM)
    for row in at.tolist():
        descriptor = state.descriptors.table[call.lanes[row], fd[row]]
        try:
            if size[row] < 0:
                raise OSError(errno.EFBIG, "beyond the last place of any file")
            os.ftruncate(state.files.host(state.files[int(descriptor["file"])]), int(size[row]))
        except OSError as error:
            call.fail(row, errno_of(error))


def times_of(
    call: Call, at: Index, accessed: Array, modified: Array, flags: Array
) -> tuple[Index, dict[int, list[tuple[int, int]]]]:
    """For each row the two times to set, as the kernel takes them; EINVAL for a time that is both given and now."""
    at = call.keep(at, flags[at] < 16, Errno.INVAL)
    for now, given in ((Fstflags.ATIM_NOW, Fstflags.ATIM), (Fstflags.MTIM_NOW, Fstflags.MTIM)):
        at = call.keep(at, flags[at] & int(now | given) != int(now | given), Errno.INVAL)
    times: dict[int, list[tuple[int, int]]] = {}
    for row in at.tolist():
        times[row] = []
        for value, now, given in (
            (accessed[row], Fstflags.ATIM_NOW, Fstflags.ATIM),
            (modified[row], Fstflags.MTIM_NOW, Fstflags.MTIM),
        ):
            if flags[row] & now:
                times[row].append((0, UTIME_NOW))
            elif flags[row] & given:
                times[row].append(divmod(int(value) & (1 << 64) - 1, 1_000_000_000))
            else:
                times[row].append((0, UTIME_OMIT))
    return at, times


def fd_filestat_set_times(state: State, call: Call, fd: Array, accessed: Array, modified: Array, flags: Array) -> None:
    """Set the times of an open file or directory."""
    at, times = times_of(call, call.rows, accessed, modified, flags)
    at = opened(state, call, at, fd, Kind.PREOPEN, Kind.DIRECTORY, Kind.FILE)
    at = call.keep(at, state.is_writable(call.lanes[at], fd[at]), Errno.PERM)
    files = state.files_of(call, at, fd)
    at = at[call.errors[at] == 0]
    for row, file in zip(at.tolist(), files.tolist(), strict=True):
        try:
            set_times(state.files.host(state.files[file]), *times[row])
        except OSError as error:
            call.fail(row, errno_of(error))


def fd_sync(state: State, call: Call, fd: Array) -> None:
    """Bring a file to the disk."""
    at = opened(state, call, call.rows, fd, Kind.FILE)
    for_each_file(state, call, at, fd, lambda file: os.fsync(state.files.host(file)))


def fd_datasync(state: State, call: Call, fd: Array) -> None:
    """Bring a file's bytes to the disk."""
    at = opened(state, call, call.rows, fd, Kind.FILE)
    for_each_file(state, call, at, fd, lambda file: os.fdatasync(state.files.host(file)))


def fd_advise(state: State, call: Call, fd: Array, offset: Array, length: Array, advice: Array) -> None:
    """Take advice, and do nothing about it."""
    opened(state, call, call.keep(call.rows, advice <= 5, Errno.INVAL), fd, Kind.FILE)


def fd_allocate(state: State, call: Call, fd: Array, offset: Array, length: Array) -> None:
    """Reserve room on the disk, and lengthen the file to it."""
    at = opened(state, call, call.rows, fd, Kind.FILE)
    for row in at.tolist():
        descriptor = state.descriptors.table[call.lanes[row], fd[row]]
        try:
            if not descriptor["access"] & CAN_WRITE:
                raise OSError(errno.EBADF, "not open for writing")
            if offset[row] < 0 or length[row] <= 0:
                raise OSError(errno.EINVAL, "no room to reserve")
            os.posix_fallocate(
                state.files.host(state.files[int(descriptor["file"])]), int(offset[row]), int(length[row])
            )
        except OSError as error:
            call.fail(row, errno_of(error))


def fd_prestat_get(state: State, call: Call, fd: Array, stat_at: Array) -> None:
    """That a descriptor is a preopen, and how long its name is."""
    at = opened(state, call, call.in_memory(call.rows, stat_at, 8), fd, Kind.PREOPEN)
    number = state.descriptors.get(call.lanes[at], fd[at])["preopen"]
    call.guest.write_numbers(at, stat_at[at], state.name_lengths[number].astype(np.int64) << 32, "<u8")


def fd_prestat_dir_name(state: State, call: Call, fd: Array, name_at: Array, length: Array) -> None:
    """The name of a preopen."""
    at = call.keep(call.rows, state.descriptors.kinds(call.lanes, fd) != Kind.FREE, Errno.BADF)
    at = opened(state, call, at, fd, Kind.PREOPEN, error=Errno.NOTDIR)
    number = np.zeros(len(call.lanes), np.int64)
    number[at] = state.descriptors.get(call.lanes[at], fd[at])["preopen"]
    at = call.keep(at, state.name_lengths[number[at]] <= length[at], Errno.NAMETOOLONG)
    sizes = np.zeros(len(call.lanes), np.int64)
    sizes[at] = state.name_lengths[number[at]]
    at = call.in_memory(at, name_at, sizes)
    for each in np.unique(number[at]).tolist():
        rows = at[number[at] == each]
        call.guest.write(rows, name_at[rows], np.frombuffer(state.names[each], np.uint8)[None, :])
