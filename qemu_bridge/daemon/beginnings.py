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
_IDENTITY = """\
hostname {name}; echo '127.0.0.1 {name}' >>/etc/hosts; \
[ ! -s /etc/machine-id ] || echo {machine_id} >/etc/machine-id; date -s @{seconds} >/dev/null"""


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


async def identify(machine: ServedMachine) -> None:
    """Tell the guest its name and the time, as soon as it runs and its shell is free; the log says what comes between."""
    await machine.state.running.wait()
    try:
        await machine.state.wait_ready(_READY_S)
        # `date` takes whole seconds.
        await asyncio.sleep(1 - time.time() % 1)
        words = {"name": machine.config.name, "machine_id": secrets.token_hex(16), "seconds": round(time.time())}
        ended = await machine.shell.run(_IDENTITY.format(**words), _COMMAND_S)
        if ended.exit_status:
            logger.warning(
                "the guest keeps its parent's name or time: %s", ended.errors.decode(errors="replace").strip()
            )
    except GlassBoxError as error:
        logger.warning("the guest keeps its parent's name and time: %s", error)
