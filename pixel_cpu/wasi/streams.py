"""Calls that read and write through descriptors."""

from __future__ import annotations

import errno
import os
import stat

import numpy as np

from ..frontends.wasm.posts import DESCRIPTOR_BITS
from ..runtime.printed import STDERR, STDOUT
from .abi import Errno, Fdflags, errno_of
from .call import Call
from .descriptors import CAN_READ, CAN_WRITE, Kind
from .files import HostFile
from .guest import Array, Guest, Index, Parts, groups
from .state import State

_ROUND_BYTES = 32 << 20
"""Bytes that are gathered at a time."""
_FEW = 16
"""Different contents up to which each is handed out to all its lanes at once."""
_LAST = (1 << 63) - 1


def fd_write(state: State, call: Call, fd: Array, vectors: Array, counts: Array, written_at: Array) -> None:
    """Write at the position, which moves; standard streams go to the sink."""
    at, parts = _parts(call, vectors, counts, written_at)
    kinds = state.descriptors.kinds(call.lanes, fd)
    for kind, stream in ((Kind.STDOUT, STDOUT), (Kind.STDERR, STDERR)):
        rows = at[kinds[at] == kind]
        if len(rows):
            own = parts.of(rows, len(call.lanes))
            totals = own.totals(len(call.lanes))[rows]
            for some, lengths in _by_bytes(rows, totals):
                state.sink.write(stream, call.lanes[some], lengths, call.guest.gather(own.of(some, len(call.lanes))))
            call.put(rows, written_at, totals, "<u4")
    others = at[(kinds[at] != Kind.STDOUT) & (kinds[at] != Kind.STDERR)]
    others = call.keep(others, kinds[others] == Kind.FILE, Errno.BADF)
    _write(state, call, others, parts, fd, None, written_at)


def take(state: State, lanes: Index, sizes: Array, records: Array) -> None:
    """Take records of what lanes wrote to streams, the first of each lane, then the second, and so on."""
    place = np.zeros(len(lanes), np.int64)
    while len(lanes):
        guest = Guest(records, lanes, sizes)
        rows = np.arange(len(lanes))
        head = guest.read(rows, place, 4).view("<u4")[:, 0].astype(np.int64)
        fd, length = head & ((1 << DESCRIPTOR_BITS) - 1), head >> DESCRIPTOR_BITS
        kinds = state.descriptors.kinds(lanes, fd)
        for kind, stream in ((Kind.STDOUT, STDOUT), (Kind.STDERR, STDERR)):
            own = rows[kinds == kind]
            if len(own):
                parts = Parts(own, place[own] + 4, length[own])
                state.sink.write(stream, lanes[own], length[own], guest.gather(parts))
        place = place + 4 + length
        left = place < sizes
        lanes, place, sizes = lanes[left], place[left], sizes[left]


def fd_pwrite(
    state: State, call: Call, fd: Array, vectors: Array, counts: Array, offset: Array, written_at: Array
) -> None:
    """Write at an offset; the position stays."""
    at, parts = _parts(call, vectors, counts, written_at)
    _write(state, call, _seekable(state, call, at, fd, Kind.STDOUT, Kind.STDERR), parts, fd, offset, written_at)


def fd_read(state: State, call: Call, fd: Array, vectors: Array, counts: Array, read_at: Array) -> None:
    """Read at the position, which moves."""
    at, parts = _parts(call, vectors, counts, read_at)
    kinds = state.descriptors.kinds(call.lanes, fd)
    _read_stdin(state, call, at[kinds[at] == Kind.STDIN], parts, fd, read_at)
    others = at[kinds[at] != Kind.STDIN]
    others = call.keep(others, kinds[others] == Kind.FILE, Errno.BADF)
    _read(state, call, others, parts, fd, None, read_at)


def fd_pread(state: State, call: Call, fd: Array, vectors: Array, counts: Array, offset: Array, read_at: Array) -> None:
    """Read at an offset; the position stays."""
    at, parts = _parts(call, vectors, counts, read_at)
    _read(state, call, _seekable(state, call, at, fd, Kind.STDIN), parts, fd, offset, read_at)


def _parts(call: Call, vectors: Array, counts: Array, result_at: Array) -> tuple[Index, Parts]:
    at, parts = call.parts(call.rows, vectors, counts)
    at = call.in_memory(at, result_at, 4)
    return at, parts.of(at, len(call.lanes))


def _seekable(state: State, call: Call, at: Index, fd: Array, *streams: Kind) -> Index:
    """The rows whose descriptor is of a file; ESPIPE for `streams`, EBADF for others."""
    kinds = state.descriptors.kinds(call.lanes, fd)
    at = call.keep(at, ~np.isin(kinds[at], streams), Errno.SPIPE)
    return call.keep(at, kinds[at] == Kind.FILE, Errno.BADF)


def _by_bytes(rows: Index, totals: Index) -> list[tuple[Index, Index]]:
    """Rows in runs of no more bytes than are gathered at a time."""
    cuts = np.searchsorted(np.cumsum(totals), np.arange(_ROUND_BYTES, int(totals.sum()), _ROUND_BYTES))
    return list(zip(np.split(rows, cuts), np.split(totals, cuts), strict=True))


def _read_stdin(state: State, call: Call, at: Index, parts: Parts, fd: Array, read_at: Array) -> None:
    if not len(at):
        return
    lanes, total = call.lanes[at], len(call.lanes)
    position = state.descriptors.table["position"][lanes, fd[at]]
    number = state.stdin.of(lanes)
    left = state.stdin.sizes[number] - position
    limits = np.zeros(total, np.int64)
    limits[at] = left
    own = parts.of(at, total).limited(limits)
    got = own.totals(total)[at]
    source = Parts(at, state.stdin.starts[number] + position, got)
    if got.any():
        call.guest.scatter(own, state.stdin.blob[source.places()])
    state.descriptors.table["position"][lanes, fd[at]] += got
    call.put(at, read_at, got, "<u4")


def _read(state: State, call: Call, at: Index, parts: Parts, fd: Array, offset: Array | None, read_at: Array) -> None:
    rows = state.descriptors.get(call.lanes[at], fd[at])
    at = call.keep(at, (rows["access"] & CAN_READ) != 0, Errno.BADF)
    rows = state.descriptors.get(call.lanes[at], fd[at])
    place = rows["position"] if offset is None else offset[at]
    total = len(call.lanes)
    wanted = parts.totals(total)
    # Equal reads are done once: of the same file, at the same place, of as many bytes.
    found: list[tuple[Index, bytes]] = []
    for group in groups(rows["file"], place, wanted[at]):
        members, file = at[group], state.files[int(rows["file"][group[0]])]
        begin, length = int(place[group[0]]), int(wanted[members[0]])
        # What a pipe or a device gives is gone once it is read, so that each lane reads for itself.
        for some in [members] if file.is_regular else np.split(members, len(members)):
            try:
                found.append((some, _pread(state, file, length, begin)))
            except OSError as error:
                call.fail(some, errno_of(error))
    got = np.zeros(total, np.int64)
    for members, content in found:
        got[members] = len(content)
    at = at[call.errors[at] == 0]
    if len(found) <= _FEW:
        for members, content in found:
            _hand_out(call, members, parts, content)
    else:
        order = np.concatenate([members for members, _ in found])
        contents = [content for members, content in found for _ in range(len(members))]
        ordered = b"".join(contents[each] for each in np.argsort(order).tolist())
        call.guest.scatter(parts.of(at, total).limited(got), np.frombuffer(ordered, np.uint8))
    if offset is None:
        state.descriptors.table["position"][call.lanes[at], fd[at]] += got[at]
    call.put(at, read_at, got[at], "<u4")


def _pread(state: State, file: HostFile, length: int, place: int) -> bytes:
    if not file.is_regular:
        return os.read(state.files.host(file), length)
    if not 0 <= place <= _LAST - length:
        raise OSError(errno.EINVAL, "beyond the last place of any file")
    return os.pread(state.files.host(file), length, place)


def _hand_out(call: Call, rows: Index, parts: Parts, content: bytes) -> None:
    """Write the same bytes to the pieces of every row."""
    if not content:
        return
    total = len(call.lanes)
    own = parts.of(rows, total).limited(np.full(total, len(content)))
    data = np.frombuffer(content, np.uint8)
    if own.is_one_each:
        call.guest.write(own.at, own.start, data[None, :])
        return
    ends = np.cumsum(own.length)
    begins = (ends - own.length) % len(content)
    for at, start, length, begin in zip(own.at, own.start, own.length.tolist(), begins.tolist(), strict=True):
        call.guest.write(np.array([at]), np.array([start]), data[None, begin : begin + length])


def _write(
    state: State, call: Call, at: Index, parts: Parts, fd: Array, offset: Array | None, written_at: Array
) -> None:
    rows = state.descriptors.get(call.lanes[at], fd[at])
    at = call.keep(at, (rows["access"] & CAN_WRITE) != 0, Errno.BADF)
    total = len(call.lanes)
    totals = parts.totals(total)
    for some, lengths in _by_bytes(at, totals[at]):
        data = memoryview(call.guest.gather(parts.of(some, total)).data)
        rows = state.descriptors.get(call.lanes[some], fd[some])
        places = rows["position"] if offset is None else offset[some]
        done = np.zeros(len(some), np.int64)
        begin = 0
        for number, (row, place, length) in enumerate(zip(rows, places.tolist(), lengths.tolist(), strict=True)):
            content = data[begin : begin + length]
            begin += length
            is_appended = bool(row["flags"] & Fdflags.APPEND)
            file = state.files[int(row["file"])]
            try:
                # One lane after another: what one wrote may have moved the end for the next.
                done[number] = _write_one(state, file, content, place, is_appended)
                if offset is None and is_appended:
                    end = os.fstat(state.files.host(file)).st_size
                    state.descriptors.table["position"][call.lanes[some[number]], fd[some[number]]] = end
                elif offset is None:
                    state.descriptors.table["position"][call.lanes[some[number]], fd[some[number]]] += done[number]
            except OSError as error:
                call.fail(int(some[number]), errno_of(error))
        good = call.errors[some] == 0
        call.put(some[good], written_at, done[good], "<u4")


def _write_one(state: State, file: HostFile, content: memoryview, place: int, is_appended: bool) -> int:
    host = state.files.host(file)
    if not stat.S_ISREG(file.mode):
        return os.write(host, content)
    if is_appended:
        return os.pwritev(host, [content], 0, os.RWF_APPEND)
    if not 0 <= place <= _LAST - len(content):
        raise OSError(errno.EFBIG, "beyond the last place of any file")
    return os.pwrite(host, content, place)


def fd_seek(state: State, call: Call, fd: Array, offset: Array, whence: Array, position_at: Array) -> None:
    """Move the position: from the begin (0), from where it is (1), from the end (2)."""
    at = call.in_memory(call.rows, position_at, 8)
    at = call.keep(at, whence[at] <= 2, Errno.INVAL)
    at = _seekable(state, call, at, fd, Kind.STDIN, Kind.STDOUT, Kind.STDERR)
    rows = state.descriptors.get(call.lanes[at], fd[at])
    base = np.where(whence[at] == 1, rows["position"], 0)
    from_end = whence[at] == 2
    for group in groups(rows["file"][from_end]) if from_end.any() else []:
        some = np.flatnonzero(from_end)[group]
        try:
            base[some] = os.fstat(state.files.host(state.files[int(rows["file"][some[0]])])).st_size
        except OSError as error:
            call.fail(at[some], errno_of(error))
    # Both are below 2^63, so that a sum beyond wraps to a negative one.
    found = np.zeros(len(call.lanes), np.int64)
    found[at] = base + offset[at]
    at = at[call.errors[at] == 0]
    at = call.keep(at, found[at] >= 0, Errno.INVAL)
    found = found[at]
    state.descriptors.table["position"][call.lanes[at], fd[at]] = found
    call.put(at, position_at, found, "<u8")


def fd_tell(state: State, call: Call, fd: Array, position_at: Array) -> None:
    """Where the position is."""
    at = call.in_memory(call.rows, position_at, 8)
    at = _seekable(state, call, at, fd, Kind.STDIN, Kind.STDOUT, Kind.STDERR)
    call.put(at, position_at, state.descriptors.table["position"][call.lanes[at], fd[at]], "<u8")
