"""Begins a machine at a moment of another one: QEMU loads its vCPUs and devices, and the guest learns who it is now."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from ..errors import GlassBoxError, MachineError
from ..machine.requests import Moment
from .served import ServedMachine

logger = logging.getLogger(__name__)

_LIMIT_S, _POLL_S = 30.0, 0.002
_READY_S, _COMMAND_S = 600.0, 60.0
_HOSTNAME = "hostname {0}; echo '127.0.0.1 {0}' >>/etc/hosts; "
_MACHINE_ID = "[ ! -s /etc/machine-id ] || echo {0} >/etc/machine-id; "
_DATE = "date -s @{0} >/dev/null"


async def begin(machine: ServedMachine, moment: Moment) -> None:
    """Load the vCPUs and devices of `moment` into a QEMU that waits for them, and let them go on; `MachineError` if it cannot."""
    execute = machine.monitor.execute
    await execute("migrate-incoming", {"uri": f"file:{moment.devices}", "exit-on-error": False})
    deadline = time.monotonic() + _LIMIT_S
    while (found := await execute("query-migrate")).get("status") != "completed":
        if found.get("status") == "failed":
            raise MachineError(f"QEMU cannot load the machine's state: {found.get('error-desc', 'it gives no reason')}")
        if time.monotonic() > deadline:
            raise MachineError(f"QEMU did not load the machine's state within {_LIMIT_S:g} s; is the host overloaded?")
        await asyncio.sleep(_POLL_S)
    machine.state.ready = moment.is_ready
    if moment.is_running:
        await machine.cont()


async def identify(machine: ServedMachine, hostname: str) -> None:
    """Tell the guest its `hostname`, if any, and the time, before any client's command; the log says what comes between."""
    await machine.state.running.wait()
    try:
        await machine.state.wait_ready(_READY_S)
        names = (_HOSTNAME.format(hostname) if hostname else "") + _MACHINE_ID.format(secrets.token_hex(16))
        # `date` takes whole seconds: at once one that has passed, and the next one when it comes.
        await _run(machine, names + _DATE.format(int(time.time())))
        await asyncio.sleep(1 - time.time() % 1)
        await _run(machine, _DATE.format(round(time.time())))
    except GlassBoxError as error:
        logger.warning("the guest keeps its parent's name or time: %s", error)


async def _run(machine: ServedMachine, command: str) -> None:
    ended = await machine.shell.run(command, _COMMAND_S)
    if ended.exit_status:
        raise MachineError(ended.errors.decode(errors="replace").strip())
