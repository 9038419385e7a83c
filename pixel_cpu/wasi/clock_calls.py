"""Calls about time, chance and waiting."""

from __future__ import annotations

import hashlib
import os
import time
from functools import lru_cache

import numpy as np

from . import abi
from .abi import Errno, errno_of
from .call import Call
from .descriptors import Kind
from .guest import Array, Index, groups
from .state import State

REALTIME, MONOTONIC, PROCESS_CPU, THREAD_CPU = range(4)
MOST_SUBSCRIPTIONS = 1024
_BLOCK_BYTES = 4096
_ROUND_BYTES = 32 << 20
_CLOCK, _FD_READ, _FD_WRITE = range(3)
_ABSOLUTE = 1
_HANGUP = 1


def now(state: State, clock: int) -> int:
    """Nanoseconds of a clock: since 1970, since the run began, or of CPU time of the host's process since then."""
    if clock == REALTIME:
        return time.time_ns()
    return time.monotonic_ns() - state.begun if clock == MONOTONIC else time.process_time_ns() - state.begun_cpu


def _resolution(clock: int) -> int:
    number = (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_PROCESS_CPUTIME_ID, time.CLOCK_PROCESS_CPUTIME_ID)[
        clock
    ]
    return max(1, round(time.clock_getres(number) * 1e9))


def clock_time_get(state: State, call: Call, clock: Array, precision: Array, time_at: Array) -> None:
    """Read a clock; all lanes of a round see the same time."""
    at = call.in_memory(call.keep(call.rows, clock <= THREAD_CPU, Errno.INVAL), time_at, 8)
    for number in np.unique(clock[at]).tolist():
        rows = at[clock[at] == number]
        call.put(rows, time_at, now(state, number), "<u8")


def clock_res_get(state: State, call: Call, clock: Array, resolution_at: Array) -> None:
    """How fine a clock is, in nanoseconds."""
    at = call.in_memory(call.keep(call.rows, clock <= THREAD_CPU, Errno.INVAL), resolution_at, 8)
    for number in np.unique(clock[at]).tolist():
        call.put(at[clock[at] == number], resolution_at, _resolution(number), "<u8")


def random_get(state: State, call: Call, buffer: Array, length: Array) -> None:
    """Random bytes of the host; with a seed the same in all lanes that asked for as many before."""
    at = call.in_memory(call.rows, buffer, length)
    sizes = length[at]
    if state.seed is not None:
        drawn = state.drawn[call.lanes[at]]
        for group in groups(drawn, sizes):
            begin, size = int(drawn[group[0]]), int(sizes[group[0]])
            call.guest.write(at[group], buffer[at[group]], _stream(state.seed, begin, size)[None, :])
        state.drawn[call.lanes[at]] += sizes
        return
    for size in np.unique(sizes).tolist():
        rows = at[sizes == size]
        some = max(1, _ROUND_BYTES // max(1, size))
        for begin in range(0, len(rows), some):
            part = rows[begin : begin + some]
            content = np.frombuffer(os.urandom(size * len(part)), np.uint8).reshape(len(part), size)
            call.guest.write(part, buffer[part], content)


def _stream(seed: int, begin: int, length: int) -> Array:
    first = begin // _BLOCK_BYTES
    blocks = b"".join(
        _block(seed, number) for number in range(first, (begin + length + _BLOCK_BYTES - 1) // _BLOCK_BYTES)
    )
    return np.frombuffer(blocks, np.uint8)[begin - first * _BLOCK_BYTES :][:length]


@lru_cache(maxsize=64)
def _block(seed: int, number: int) -> bytes:
    return hashlib.shake_128(b"%d %d" % (seed, number)).digest(_BLOCK_BYTES)


def poll_oneoff(state: State, call: Call, subscriptions: Array, events: Array, count: Array, count_at: Array) -> None:
    """Wait for a time, or for descriptors, which are always ready: the lane sleeps until the first event."""
    at = call.in_memory(call.keep(call.rows, (count > 0) & (count <= MOST_SUBSCRIPTIONS), Errno.INVAL), count_at, 4)
    at = call.in_memory(at, subscriptions, count * abi.SUBSCRIPTION.itemsize)
    at = call.in_memory(at, events, count * abi.EVENT.itemsize)
    call.until = np.zeros(len(call.lanes))
    equal: dict[bytes, list[int]] = {}
    for row, raw in zip(
        at.tolist(), call.guest.texts(at, subscriptions[at], count[at] * abi.SUBSCRIPTION.itemsize), strict=True
    ):
        wanted = np.frombuffer(raw, abi.SUBSCRIPTION)
        equal.setdefault(raw if (wanted["tag"] == _CLOCK).all() else raw + b"%d" % row, []).append(row)
    for raw, members in equal.items():
        rows = np.array(members)
        size = int(count[rows[0]]) * abi.SUBSCRIPTION.itemsize
        try:
            found = _poll(state, call, rows, np.frombuffer(raw[:size], abi.SUBSCRIPTION))
        except OSError as error:
            call.fail(rows, errno_of(error))
            continue
        if found is not None:
            call.guest.write(rows, events[rows], found.reshape(1, -1))
            call.put(rows, count_at, len(found), "<u4")


def _poll(state: State, call: Call, row: Index, wanted: Array) -> Array | None:
    """The events of one lane, or of lanes that want nothing but times; None where one of what it wants is wrong."""
    found = np.zeros(len(wanted), abi.EVENT)
    found["userdata"], found["type"] = wanted["userdata"], wanted["tag"]
    waits = np.zeros(len(wanted), np.float64)
    for place, each in enumerate(wanted):
        if each["tag"] == _CLOCK:
            if each["clock"] > MONOTONIC or each["flags"] > 1:
                call.fail(row, Errno.INVAL)
                return None
            timeout = int(each["timeout"])
            waits[place] = (timeout - now(state, int(each["clock"])) if each["flags"] & _ABSOLUTE else timeout) / 1e9
            continue
        if each["tag"] > _FD_WRITE:
            call.fail(row, Errno.INVAL)
            return None
        number = np.array([int(each["fd"])])
        kind = int(state.descriptors.kinds(call.lanes[row], number)[0])
        streams = (Kind.STDIN,) if each["tag"] == _FD_READ else (Kind.STDOUT, Kind.STDERR)
        if kind not in (*streams, Kind.FILE):
            call.fail(row, Errno.BADF)
            return None
        if kind == Kind.FILE and each["tag"] == _FD_WRITE and not state.is_writable(call.lanes[row], number)[0]:
            call.fail(row, Errno.PERM)
            return None
        found["bytes"][place] = 1
        if each["tag"] == _FD_READ and kind == Kind.FILE and state.bytes_left(call.lanes[row], number) <= 0:
            found["flags"][place] = _HANGUP
    first = max(0.0, float(waits.min()))
    assert call.until is not None
    if first > 0:
        call.until[row] = time.monotonic() + first
    # As bytes: records that are chosen by a mask do not keep the bytes between their fields, which would then be the host's.
    return found.view(np.uint8).reshape(len(found), -1)[waits <= first]


def sched_yield(state: State, call: Call) -> None:
    """Let others go on, which they do anyway."""


def proc_exit(state: State, call: Call, code: Array) -> None:
    """End the lane with an exit code."""
    state.exit_codes[call.lanes] = code
    call.ended = np.ones(len(call.lanes), bool)
    state.finish(call.lanes)


def proc_raise(state: State, call: Call, signal: Array) -> None:
    """Refused, as in wasmtime: there are no signals."""
    call.fail(call.rows, Errno.NOTSUP)
