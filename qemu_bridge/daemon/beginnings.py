"""Begins a machine at a moment of another one: QEMU loads its vCPUs and devices, and the guest learns who it is now."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
import zlib

from ..errors import GlassBoxError, HostError, MachineError, MachineGoneError
from ..machine.agent import Run
from ..machine.requests import Moment
from .served import ServedMachine

logger = logging.getLogger(__name__)

_LIMIT_S, _POLL_S = 30.0, 0.002
_READY_S, _COMMAND_S = 600.0, 60.0
# Each step is tried, whatever became of those before it.
_HOSTNAME = "{{ hostname {0} && echo '127.0.0.1 {0}' >>/etc/hosts; }} || e=1; "
_MACHINE_ID = "[ ! -s /etc/machine-id ] || echo {0} >/etc/machine-id || e=1; "
_DATE = "date -s @{0} >/dev/null || e=1; "


async def begin(machine: ServedMachine, moment: Moment) -> None:
    """Load the vCPUs and devices of `moment` into a QEMU that waits for them, and let them go on; `MachineError` if it cannot."""
    try:
        file = open(moment.devices, "rb")
    except OSError as error:
        raise MachineError(f"the machine's state cannot be read ({error.strerror}); start the machine cold") from None
    with file:
        # QEMU loads the very file that was looked at, whatever lies at its path by then.
        if moment.checksum is not None and zlib.crc32(file.read()) != moment.checksum:
            raise HostError(f"{moment.devices} is damaged, or of another moment than the RAM; start the machine cold")
        await _load(machine, f"/proc/{os.getpid()}/fd/{file.fileno()}")
    machine.state.ready, machine.state.panic = moment.is_ready, moment.panic
    if moment.is_running:
        await machine.cont()


async def _load(machine: ServedMachine, path: str) -> None:
    execute = machine.monitor.execute
    await execute("migrate-incoming", {"uri": f"file:{path}", "exit-on-error": False})
    deadline = time.monotonic() + _LIMIT_S
    while (found := await execute("query-migrate")).get("status") != "completed":
        if found.get("status") == "failed":
            raise MachineError(f"QEMU cannot load the machine's state: {found.get('error-desc', 'it gives no reason')}")
        if time.monotonic() > deadline:
            raise MachineError(f"QEMU did not load the machine's state within {_LIMIT_S:g} s; is the host overloaded?")
        await asyncio.sleep(_POLL_S)


async def identify(machine: ServedMachine, hostname: str) -> None:
    """Tell the guest its `hostname`, if any, and the time, before any client's command; the log says what comes between."""
    try:
        # Taken at once, before a client can ask for anything, and held until the guest was told.
        async with machine.shell.turn() as run:
            await machine.state.running.wait()
            await machine.state.wait_ready(_READY_S)
            await _wait_free(run)
            ended = await run(_introduction(hostname, time.time()), _COMMAND_S)
        if ended.exit_status:
            raise MachineError(ended.errors.decode(errors="replace").strip() or "the guest gives no reason")
    except GlassBoxError as error:
        logger.warning("the guest keeps its parent's name or time: %s", error)


async def _wait_free(run: Run) -> None:
    """Return when the guest's shell answers: in a fork it may still run its parent's command, and what it is told until then is old."""
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            await run(":", _COMMAND_S)
        except MachineGoneError:
            raise
        except MachineError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def _introduction(hostname: str, now: float) -> str:
    """The command that tells the guest who it is and that it is `now`."""
    names = (_HOSTNAME.format(hostname) if hostname else "") + _MACHINE_ID.format(secrets.token_hex(16))
    # `date` takes whole seconds: at once one that has passed, and the next one when it comes.
    second = int(now)
    return (
        f"e=0; {names}{_DATE.format(second)}sleep {second + 1 - now:.3f} || e=1; {_DATE.format(second + 1)}[ $e = 0 ]"
    )
