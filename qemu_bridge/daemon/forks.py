"""Forks the machine: another one, of its own daemon and QEMU, goes on from this moment beside it.

While no vCPU runs, the state of vCPUs and devices goes to a file by ``xen-save-devices-state``, the one command of QEMU that writes
it alone and leaves the machine as it was, and the touched pages of RAM go to another, which the new machine takes for its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Iterable
from pathlib import Path

from ..errors import BusyNameError, MachineError, UsageError
from ..machine.config import RAM_BACKEND, check_ram_space
from ..machine.launch import hand_over, waiting_daemon
from ..machine.requests import Moment, StartRequest
from ..memory.addresses import PAGE_SIZE
from ..timeline.checkpoints import save_ram
from ..wire import connection as connections
from ..wire.json_text import decode_json, encode_json
from ..wire.operations import Operations
from ..wire.records import Answer, Fork, TargetMemory
from . import checkpoints
from .backends.started import StartedQemu
from .served import ServedMachine

_KEY, _BATCH = 32, 96
_GENERATOR = (("base_crng", _KEY), ("input_pool", _KEY), ("crngs", _KEY))
"""Symbols of the kernel's random numbers (``drivers/char/random.c``, since Linux 5.17), and what is secret at the start of each:
the key, the state of the hash that collects entropy, and the key of each processor."""
_OF_SOME = (*((f"batched_entropy_u{bits}", _BATCH) for bits in (8, 16, 32, 64)), ("_vdso_rng_data", 8))
"""Numbers that were made ahead, and what tells processes that theirs are old (``vgetrandom``, since 6.11)."""


async def fork(machine: ServedMachine, name: str) -> Fork:
    """Start machine `name` as this one is now; a failure leaves nothing of it behind, and this one running."""
    await checkpoints.check(machine)
    await check_memory(machine)
    _check(machine, name)
    backend, config = machine.backend, dataclasses.replace(machine.config, name=name)
    assert isinstance(backend, StartedQemu)
    random = await find_random(machine)
    # Named like the files of a machine, with our own process, so that they are swept if we are killed.
    ram = connections.ram_folder() / f"{connections.shared_prefix()}{name}-{os.getpid()}.ram"
    devices = ram.with_suffix(".devices")
    try:
        with waiting_daemon() as daemon:
            check_ram_space(ram.parent, config.memory)
            forked_at, begun = time.time(), time.monotonic()
            async with machine.vcpus.held() as was_running:
                copied = await save(machine, ram, devices)
            paused_s = time.monotonic() - begun if was_running else 0.0
            found = Fork(name, machine.config.name, forked_at, round(paused_s, 6), copied, devices.stat().st_size)
            moment = Moment(ram, devices, None, random, machine.state.ready, was_running, name)
            request = StartRequest(config, backend.program, backend.plugin, machine.connection.no_trace, moment=moment)
            await asyncio.to_thread(hand_over, daemon, request)
            return found
    finally:
        for path in (ram, devices):
            path.unlink(missing_ok=True)


def _check(machine: ServedMachine, name: str) -> None:
    """`UsageError` or `BusyNameError` where machine `name` cannot be a copy of this one that runs beside it."""
    if connections.is_alive(connections.validate_name(name)):
        raise BusyNameError(
            f"machine {name!r} runs already; stop it with 'glassbox stop {name}' or choose another name"
        )
    if machine.config.net:
        raise UsageError("a fork would have the address of its parent; start the machine without --net")


async def check_memory(machine: ServedMachine) -> None:
    """`UsageError` for a machine that has memory beside its RAM, which `save` would leave out."""
    blocks = [line.split() for line in (await machine.monitor.hmp("info ramblock")).splitlines()]
    others = [words[0] for words in blocks if words and words[-1] == "rw" and words[0] != RAM_BACKEND]
    if others:
        raise UsageError(
            f"the memory of {', '.join(others)} would be left out; start the machine without such a device"
        )


async def save(machine: ServedMachine, ram: Path, devices: Path) -> int:
    """Write RAM and the state of vCPUs and devices, which no vCPU changes now, to two new files; returns the bytes of touched RAM."""
    devices.touch(mode=0o600)
    # Of `live` QEMU gives up its drives, and there are none.
    await machine.monitor.execute("xen-save-devices-state", {"filename": str(devices), "live": False})
    return await asyncio.to_thread(save_ram, Path(machine.connection.ram_path), ram)


async def find_random(machine: ServedMachine) -> tuple[tuple[int, int], ...]:
    """Where in RAM the guest's kernel keeps the state of its random numbers, as (RAM offset, bytes)."""
    places = []
    for symbol, size in (*_GENERATOR, *_OF_SOME):
        try:
            answer, _ = await machine.worker.ask(
                Operations.resolve, encode_json({"target": f"sym:{symbol}"}), machine.state.grade, machine.epoch
            )
        except UsageError:
            if (symbol, size) in _OF_SOME:
                continue
            raise UsageError(
                f"this guest's kernel has no {symbol}, so a fork would repeat its random numbers; use one since Linux 5.17"
            ) from None
        found = decode_json(answer, Answer[TargetMemory]).value
        runs = joined((int(each.ram_offset), each.size) for each in found.ranges)
        # Of a processor's variable that goes on in the next page the first part alone is told. The kernel's image and the memory that
        # boot gives each processor are contiguous.
        if not runs or any(length < size and (offset + length) % PAGE_SIZE for offset, length in runs):
            raise MachineError(
                f"{symbol} of the guest's kernel is not where it should be; fork the machine once it is up"
            )
        places += [(offset, size) for offset, _ in runs]
    return tuple(places)


def joined(rows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Rows of (offset, bytes), those in one that follow each other: what lies across pages is told page by page."""
    runs: list[tuple[int, int]] = []
    for offset, size in rows:
        if runs and offset == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + size)
        else:
            runs.append((offset, size))
    return runs
