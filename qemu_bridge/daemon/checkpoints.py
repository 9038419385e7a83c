"""Takes checkpoints of the machine and brings it back to one, while its QEMU, its sockets and its clients stay.

The state of vCPUs and devices goes by QEMU's ``snapshot-save`` and ``snapshot-load``, with ``x-ignore-shared``, so RAM is not
in it: RAM is a file, and is copied as one while no vCPU runs. Loading resets the machine, which writes the kernel that QEMU was
given into RAM again; so RAM is written before, as devices look into it when they are loaded, and once more after.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ..errors import GlassBoxError, MachineError, UsageError
from ..timeline import checkpoints
from ..wire.records import Checkpoint, Origin, TraceState
from .console import READY_LINE
from .served import ServedMachine

_FILE, _NODE, _TAG = "checkpoint-file", "checkpoint", "glassbox"
_LIMIT_S, _POLL_S = 30.0, 0.002


async def take(machine: ServedMachine, tag: str) -> Checkpoint:
    """Take checkpoint `tag`; a failure leaves nothing behind. One at a time, as for `restore`."""
    await check(machine)
    name, ram = machine.config.name, Path(machine.connection.ram_path)
    draft = checkpoints.make_draft(name, tag)
    try:
        devices = draft / checkpoints.DEVICES
        devices.touch(mode=0o600, exist_ok=False)
        async with _node(machine, devices, is_new=True):
            taken_at, begun = time.time(), time.monotonic()
            async with machine.vcpus.held() as was_running:
                await _job(machine, "snapshot-save", tag=_TAG, vmstate=_NODE, devices=[_NODE])
                copied = await asyncio.to_thread(checkpoints.save_ram, ram, draft / checkpoints.RAM)
                is_ready = machine.state.ready or READY_LINE in machine.console.rest()
            paused_s = time.monotonic() - begun if was_running else 0.0
        found = Checkpoint(
            tag, name, taken_at, round(paused_s, 6), copied, devices.stat().st_size, is_ready,
            machine.connection.qemu_pid, machine.connection.qemu_started,
        )  # fmt: skip
        checkpoints.finish(draft, found)
        return found
    finally:
        shutil.rmtree(draft, ignore_errors=True)


async def restore(machine: ServedMachine, tag: str) -> Checkpoint:
    """Bring RAM, vCPUs and devices back to checkpoint `tag`; a machine that ran goes on from there.

    `MachineError` where QEMU cannot load it: the machine stays paused then, for its RAM and its devices are not of one moment.
    """
    await check(machine)
    folder, found = checkpoints.find_checkpoint(machine.config.name, tag)
    connection = machine.connection
    if (found.qemu_pid, found.qemu_started) != (connection.qemu_pid, connection.qemu_started):
        raise UsageError(f"checkpoint {tag!r} is of an earlier machine {found.name!r}, which has ended; take a new one")
    ram, copy = Path(connection.ram_path), folder / checkpoints.RAM
    if not copy.is_file() or copy.stat().st_size != connection.layout.size:
        raise UsageError(f"{copy} is not the RAM of this machine; take a new checkpoint")
    async with _node(machine, folder / checkpoints.DEVICES), machine.vcpus.held():
        changed: list[int] = []
        try:
            changed += await asyncio.to_thread(checkpoints.load_ram, copy, ram)
            await _job(machine, "snapshot-load", tag=_TAG, vmstate=_NODE, devices=[_NODE])
            changed += await asyncio.to_thread(checkpoints.load_ram, copy, ram)
        except GlassBoxError as error:
            await machine.vcpus.pause()
            raise MachineError(
                f"{error}; {found.name} stays paused, half of it as it was before: restore another checkpoint or stop it"
            ) from None
        finally:
            machine.note_changed(changed)
        machine.worker.reset()
        machine.state.ready, machine.state.panic = found.ready, ""
    return found


async def check(machine: ServedMachine) -> None:
    """`UsageError` where a checkpoint would not hold all of the machine, `MachineError` while its trace is armed."""
    if machine.backend.origin is not Origin.STARTED:
        raise UsageError("only a machine that Glass Box started has checkpoints; start one with 'glassbox start'")
    if machine.config.gpu is not None:
        raise UsageError("the work of a GPU is not in a checkpoint; start the machine without --gpu")
    if machine.config.learned:
        raise UsageError("learned loops keep state of their own; start the machine without --learned")
    if machine.connection.trace_path and machine.trace.status().state != TraceState.DISARMED:
        raise MachineError("the trace is armed, and its window has one time line; disarm it first")
    drives = [each["device"] for each in await machine.monitor.execute("query-block") if "inserted" in each]
    if drives:
        raise UsageError(f"the content of {', '.join(drives)} is not in a checkpoint; start the machine without drives")


@contextlib.asynccontextmanager
async def _node(machine: ServedMachine, path: Path, *, is_new: bool = False) -> AsyncIterator[None]:
    """A context in which QEMU has the file at `path` open as node `_NODE`."""
    execute = machine.monitor.execute
    ignore = {"capability": "x-ignore-shared", "state": True}
    await execute("migrate-set-capabilities", {"capabilities": [ignore]})
    await execute("blockdev-add", {"driver": "file", "filename": str(path), "node-name": _FILE})
    try:
        if is_new:
            await _job(machine, "blockdev-create", options={"driver": "qcow2", "file": _FILE, "size": 0})
        await execute("blockdev-add", {"driver": "qcow2", "file": _FILE, "node-name": _NODE})
        try:
            yield
        finally:
            with contextlib.suppress(MachineError):
                await execute("blockdev-del", {"node-name": _NODE})
    finally:
        with contextlib.suppress(MachineError):
            await execute("blockdev-del", {"node-name": _FILE})


async def _job(machine: ServedMachine, command: str, **arguments: Any) -> None:  # noqa: ANN401  # QMP's own
    """Run a job of QEMU to its end; `MachineError` with its reason when it fails."""
    execute = machine.monitor.execute
    name = f"{command}-{secrets.token_hex(4)}"  # one that was given up may still be there
    await execute(command, {"job-id": name, **arguments})
    deadline = time.monotonic() + _LIMIT_S
    while True:
        job = next(each for each in await execute("query-jobs") if each["id"] == name)
        if job["status"] == "concluded":
            break
        if time.monotonic() > deadline:
            raise MachineError(f"QEMU did not finish {command} within {_LIMIT_S:g} s; is the host overloaded?")
        await asyncio.sleep(_POLL_S)
    await execute("job-dismiss", {"id": name})
    if "error" in job:
        raise MachineError(f"QEMU refuses {command}: {job['error']}")
