"""The guest's root shell on its second serial port: run a command, get its output, its errors and its exit status.

The shell prompts and echoes nothing. Each command travels as one line, in base64 so that no byte of it means special to the
shell. Standard output comes on the shell's own port, standard error on the guest's fourth, so both arrive as they are, byte by
byte, whatever wrote them. On both a line with a random nonce stands before and after what belongs to the command; what comes
between two commands (of a background process, of a command that was given up) belongs to none and is discarded.

A guest whose kernel has no fourth serial port writes both to the one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import shlex
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from ..errors import MachineError, MachineGoneError, UsageError

OUTPUT_LIMIT = 256 << 20
"""Bytes that a command may write to each stream."""
LONGEST_S = 86400.0
_GRACE_S = 5.0
_KILLED = (124, 137, 143)
"""Exit statuses of ``timeout`` where it killed the command: of coreutils, of SIGKILL, of BusyBox."""
_CLOCK_S = 0.1
"""How much faster the guest's clock may be than the host's."""
_ERROR_PORT = "/dev/ttyS3"

# Runs in a session of its own: open the port of errors, begin, run, end. `timeout` remarks on its own standard error that it kills, and
# BusyBox's kills no more than the process that it started: whatever else of the session is left then would write into later commands.
_SCRIPT = """\
$(command -v setsid) sh -c '\
if stty -F {port} raw -echo clocal -hupcl 115200 2>/dev/null; then exec 3>{port}; a=1; else exec 3>&1; a=0; fi; \
printf "%s<\\n" {nonce}; [ $a = 0 ] || printf "%s<\\n" {nonce} >&3; \
timeout -k 2 {limit} sh -c "exec 2>&3 3>&-; $(echo {command} | base64 -d)" </dev/null 2>/dev/null; s=$?; \
{{ case $s in {killed}) {end_session};; esac; }} 2>/dev/null; \
printf "%s> %d %d\\n" {nonce} $s $a; [ $a = 0 ] || printf "%s>" {nonce} >&3'
"""
# Fields of stat behind the name: state, parent, group, session. The shell's own row says whether the session is its own.
_END_SESSION = """\
for i in 1 2 3 4 5; do n=0; read -r l </proc/$$/stat; set -- ${l##*) }; [ "$4" = $$ ] || break; \
for d in /proc/[0-9]*; do p=${d#/proc/}; [ $p != $$ ] && read -r l <$d/stat || continue; set -- ${l##*) }; \
[ "$4" != $$ ] || [ $1 = Z ] || { kill -9 $p; n=1; }; done; [ $n = 1 ] || break; done"""


class Ended(NamedTuple):
    """What a command wrote to standard output and to standard error, its exit status, and whether the guest had to kill it."""

    output: bytes
    errors: bytes
    exit_status: int
    timed_out: bool = False


Run = Callable[[str | Sequence[str], float], Awaitable[Ended]]
"""Runs a command, as `Agent.run` does."""


class Agent:
    """One shell that runs one command at a time; further calls queue."""

    def __init__(self, sock: socket.socket, error_sock: socket.socket) -> None:
        """Talk to the shell on `sock`; the errors of its commands come on `error_sock`."""
        self._socks = (sock, error_sock)
        self._lock = asyncio.Lock()
        self._streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, command: str | Sequence[str], timeout_s: float) -> Ended:
        """Run `command`, a shell line or words to be quoted.

        After `timeout_s`, in whole seconds, the guest kills the command: `Ended.timed_out`. `MachineError` if the guest does not report even that, or
        if a stream is longer than `OUTPUT_LIMIT`.
        """
        with self._told(timeout_s):
            async with asyncio.timeout(timeout_s + _GRACE_S), self._lock:
                return await self._run_now(command, timeout_s)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Run]:
        """A context in which nobody else's command runs, not even between two; yields what runs one there, as `run` does."""

        async def run(command: str | Sequence[str], timeout_s: float) -> Ended:
            with self._told(timeout_s):
                async with asyncio.timeout(timeout_s + _GRACE_S):
                    return await self._run_now(command, timeout_s)

        async with self._lock:
            yield run

    @contextlib.contextmanager
    def _told(self, timeout_s: float) -> Iterator[None]:
        """A context that says what became of a command, in place of how that was noticed."""
        if not 0 < timeout_s <= LONGEST_S:
            raise UsageError(f"a timeout of {timeout_s:g} s is unsupported; give more than 0 and at most {LONGEST_S:g}")
        try:
            yield
        except TimeoutError:
            busy = "it still runs an earlier one" if self._lock.locked() else "is it booted, paused or stuck?"
            raise MachineError(
                f"the guest did not finish the command within {timeout_s:g} s; {busy}; try 'glassbox console'"
            ) from None
        except (asyncio.IncompleteReadError, OSError):
            raise MachineGoneError("the machine ended while it ran the command") from None

    async def _run_now(self, command: str | Sequence[str], timeout_s: float) -> Ended:
        line = command if isinstance(command, str) else shlex.join(command)
        nonce = secrets.token_hex(16)
        (output, writer), (errors, _) = await self._open()
        begun = time.monotonic()
        writer.write(_wrap(line, timeout_s, nonce))
        await writer.drain()
        ended = await _collect(output, errors, nonce.encode())
        # A command may end with such a status on its own, but then it has not used up its time.
        is_late = time.monotonic() - begun >= _limit(timeout_s) - _CLOCK_S
        return ended._replace(timed_out=is_late and ended.exit_status in _KILLED)

    async def _open(self) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        # Both writers are kept: one that is forgotten closes its socket.
        for sock in self._socks[len(self._streams) :]:
            self._streams.append(await asyncio.open_connection(sock=sock, limit=OUTPUT_LIMIT))
        return self._streams


async def _collect(output: asyncio.StreamReader, errors: asyncio.StreamReader, nonce: bytes) -> Ended:
    begin, end = nonce + b"<\n", nonce + b">"
    await _read_to(output, begin)
    written = await _read_to(output, end)
    status, is_apart = map(int, (await output.readline()).split())
    complaints: bytes | None = b""
    if is_apart:
        await _read_to(errors, begin)
        complaints = await _read_to(errors, end)
    if written is None or complaints is None:
        raise MachineError(f"the command wrote more than {OUTPUT_LIMIT >> 20} MiB; redirect it to a file in the guest")
    return Ended(written, complaints, status)


async def _read_to(stream: asyncio.StreamReader, mark: bytes) -> bytes | None:
    """What comes before `mark`; None if it is longer than `OUTPUT_LIMIT`."""
    is_whole = True
    while True:
        try:
            found = await stream.readuntil(mark)
            return found[: -len(mark)] if is_whole else None
        except asyncio.LimitOverrunError as error:
            is_whole = False
            await stream.readexactly(error.consumed)


def _wrap(line: str, timeout_s: float, nonce: str) -> bytes:
    command = base64.b64encode(line.encode("utf-8", "surrogateescape")).decode()
    killed = "|".join(map(str, _KILLED))
    words = {"port": _ERROR_PORT, "nonce": nonce, "limit": _limit(timeout_s), "command": command}
    return _SCRIPT.format(**words, killed=killed, end_session=_END_SESSION).encode()


def _limit(timeout_s: float) -> int:
    return max(1, round(timeout_s))
