"""The guest's root shell on its second serial port: run a command, get its output and exit status.

The shell prompts and echoes nothing. Each command travels as one line, in base64 so that no byte of it means
special to the shell, and ends with a random nonce that marks its end::

    timeout -k 2 60 sh -c "exec 2>&1; $(echo bHM= | base64 -d)" </dev/null 2>/dev/null; printf '\\n%s %d\\n' 6f2c… $?
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import shlex
import socket
from collections.abc import Sequence

from ..errors import MachineError, MachineGoneError, UsageError

OUTPUT_LIMIT = 256 << 20
LONGEST_S = 86400.0
_GRACE_S = 5.0


class Agent:
    """One shell that runs one command at a time; further calls queue."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = asyncio.Lock()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._pending: bytes | None = None

    async def run(self, command: str | Sequence[str], timeout_s: float) -> tuple[bytes, int]:
        """Run `command`, a shell line or words to be quoted; return (output, exit status).

        Output includes standard error. After `timeout_s` the guest kills the command (status 143);
        `MachineError` if the guest does not report even that.
        """
        if not 0 < timeout_s <= LONGEST_S:
            raise UsageError(f"a timeout of {timeout_s:g} s is unsupported; give more than 0 and at most {LONGEST_S:g}")
        line = command if isinstance(command, str) else shlex.join(command)
        nonce = secrets.token_hex(16)
        wire = _wrap(line, timeout_s, nonce)
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S), self._lock:
                reader, writer = await self._open()
                if self._pending is not None:
                    # An earlier command that timed out may still answer; skip its output.
                    await self._collect(reader)
                writer.write(wire)
                self._pending = nonce.encode()
                await writer.drain()
                return await self._collect(reader)
        except TimeoutError:
            busy = "it still runs an earlier one" if self._lock.locked() else "is it booted, paused or stuck?"
            raise MachineError(
                f"the guest did not finish the command within {timeout_s:g} s; {busy}; try 'glassbox console'"
            ) from None
        except (asyncio.IncompleteReadError, OSError):
            raise MachineGoneError("the machine ended while it ran the command") from None

    def forget(self) -> None:
        """Discard pending answers: a reset of the guest ended the shell."""
        self._pending = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=OUTPUT_LIMIT)
        return self._reader, self._writer

    async def _collect(self, reader: asyncio.StreamReader) -> tuple[bytes, int]:
        assert self._pending is not None
        try:
            output = await reader.readuntil(b"\n" + self._pending + b" ")
        except asyncio.LimitOverrunError:
            raise MachineError(
                f"the command wrote more than {OUTPUT_LIMIT >> 20} MiB; redirect it to a file in the guest"
            ) from None
        status = await reader.readline()
        output = output[: -len(self._pending) - 2]
        self._pending = None
        return output, int(status)


def _wrap(line: str, timeout_s: float, nonce: str) -> bytes:
    encoded = base64.b64encode(line.encode("utf-8", "surrogateescape")).decode()
    limit = max(1, round(timeout_s))
    # `timeout` prints a remark when it kills; the command's own standard error goes to its output.
    command = f'timeout -k 2 {limit} sh -c "exec 2>&1; $(echo {encoded} | base64 -d)" </dev/null 2>/dev/null'
    return f"{command}; printf '\\n%s %d\\n' {nonce} $?\n".encode()
