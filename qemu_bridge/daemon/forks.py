"""Forks the machine: another one, of its own daemon and QEMU, goes on from this moment beside it.

While no vCPU runs, the state of vCPUs and devices goes to a file by ``xen-save-devices-state``, the one command of QEMU that writes
it alone and leaves the machine as it was, and the touched pages of RAM go to another, which the new machine takes for its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import BusyNameError, HostError, MachineError, NoTypesError, UsageError
from ..machine.config import RAM_BACKEND, check_ram_space
from ..machine.launch import hand_over, waiting_daemon
from ..machine.requests import Moment, StartRequest
from ..memory.addresses import PAGE_SIZE
from ..timeline.checkpoints import save_ram
from ..wire import connection as connections
from ..wire.json_text import decode_json, encode_json
from ..wire.operations import Operation, Operations
from ..wire.records import Answer, Fork, TargetMemory
from . import checkpoints
from .backends.started import StartedQemu
from .served import ServedMachine

_KEY, _BATCH = 32, 96
_GENERATOR = (("base_crng", _KEY), ("input_pool", _KEY), ("crngs", _KEY))
"""Symbols of the kernel's random numbers (``drivers/char/random.c``, since Linux 5.17), and what is secret at the start of each:
the key, the state of the hash that collects entropy, and the key of each processor."""
_OF_SOME = tuple((f"batched_entropy_u{bits}", _BATCH) for bits in (8, 16, 32, 64))
"""Numbers that were made ahead."""
_OF_PROCESSES = ("_vdso_rng_data", "vdso_rng_data_store", "*vdso_k_rng_data")
"""What holds the struct that tells processes that theirs are old (``vgetrandom``), whose start is that generation: of Linux 6.11 to
6.14, of those with the generic vDSO store, and the pointer to it where that store is allocated at boot."""
_STRUCT, _GENERATION = "vdso_rng_data", 8


async def fork(machine: ServedMachine, name: str) -> Fork:
    """Start machine `name` as this one is now; a failure leaves nothing of it behind, and this one running."""
    await checkpoints.check(machine)
    await check_state(machine)
    _check(machine, name)
    backend, config = machine.backend, dataclasses.replace(machine.config, name=name)
    assert isinstance(backend, StartedQemu)
    random = await find_random(machine)
    # Named like the files of a machine, with our own process, so that they are swept if we are killed.
    ram = connections.ram_folder() / f"{connections.shared_prefix()}{name}-{os.getpid()}.ram"
    devices, console = ram.with_suffix(".devices"), ram.with_suffix(".console")
    try:
        with waiting_daemon() as daemon:
            check_ram_space(ram.parent, config.memory)
            forked_at, begun = time.time(), time.monotonic()
            async with machine.vcpus.held() as was_running:
                copied = await save(machine, ram, devices)
                # What this daemon has not read yet the fork's reads; both are of one moment, as nothing is awaited between.
                rest, ready, panic = machine.console.rest(), machine.state.ready, machine.state.panic
            _create(console)
            console.write_bytes(rest)
            paused_s = time.monotonic() - begun if was_running else 0.0
            found = Fork(name, machine.config.name, forked_at, round(paused_s, 6), copied, devices.stat().st_size)
            moment = Moment(ram, devices, None, random, ready, was_running, name, console, panic=panic)
            request = StartRequest(config, backend.program, backend.plugin, machine.connection.no_trace, moment=moment)
            await asyncio.to_thread(hand_over, daemon, request)
            return found
    finally:
        for path in (ram, devices, console):
            with contextlib.suppress(PermissionError):  # another user's, who planted it
                path.unlink(missing_ok=True)


def _check(machine: ServedMachine, name: str) -> None:
    """`UsageError` or `BusyNameError` where machine `name` cannot be a copy of this one that runs beside it."""
    if connections.is_alive(connections.validate_name(name)):
        raise BusyNameError(
            f"machine {name!r} runs already; stop it with 'glassbox stop {name}' or choose another name"
        )
    if machine.config.net:
        raise UsageError("a fork would have the address of its parent; start the machine without --net")


async def check_state(machine: ServedMachine) -> None:
    """`UsageError` for a machine that has memory beside its RAM, or devices whose state QEMU cannot write: `save` would leave them out."""
    if reasons := (await machine.monitor.execute("query-migrate")).get("blocked-reasons"):
        raise UsageError(f"QEMU cannot copy all devices ({'; '.join(reasons)}); start the machine without them")
    blocks = [line.split() for line in (await machine.monitor.hmp("info ramblock")).splitlines()]
    others = [words[0] for words in blocks if words and words[-1] == "rw" and words[0] != RAM_BACKEND]
    if others:
        raise UsageError(
            f"the memory of {', '.join(others)} would be left out; start the machine without such a device"
        )


async def save(machine: ServedMachine, ram: Path, devices: Path) -> int:
    """Write RAM and the state of vCPUs and devices, which no vCPU changes now, to two new files; returns the bytes of touched RAM."""
    _create(devices)
    # Of `live` QEMU gives up its drives, and there are none.
    await machine.monitor.execute("xen-save-devices-state", {"filename": str(devices), "live": False})
    return await asyncio.to_thread(save_ram, Path(machine.connection.ram_path), ram)


def _create(path: Path) -> None:
    """Make the file `path`; `HostError` where there is one. In a folder for all users a link that one planted there is not followed."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise HostError(f"{path} is there already, and not ours; remove it") from None


async def find_random(machine: ServedMachine) -> tuple[tuple[int, int], ...]:
    """Where in RAM the guest's kernel keeps the state of its random numbers, as (RAM offset, bytes).

    `UsageError` for a kernel of which not all is found: random numbers would be repeated.
    """
    places = []
    for symbol, size in (*_GENERATOR, *_OF_SOME):
        found = await _find(machine, f"sym:{symbol}", size)
        if not found and (symbol, size) in _GENERATOR:
            raise UsageError(
                f"this guest's kernel has no {symbol}, so a fork would repeat its random numbers; use one since Linux 5.17"
            )
        places += found
    return (*places, *await _find_generation(machine))


async def _find_generation(machine: ServedMachine) -> list[tuple[int, int]]:
    """Where the number is that tells processes that random numbers of their own are old; empty for a kernel without."""
    for symbol in _OF_PROCESSES:
        name = symbol.lstrip("*")
        found = await _find(machine, f"sym:{name}", _GENERATION)
        if found and name != symbol:
            with open(machine.connection.ram_path, "rb") as ram:
                address = int.from_bytes(os.pread(ram.fileno(), 8, found[0][0]), "little")
            found = await _find(machine, f"va:{address:#x}+{_GENERATION}", _GENERATION)
        if found:
            return found
    try:
        answer = await _ask(machine, Operations.type_names, part=_STRUCT)
    except NoTypesError:
        return []
    if _STRUCT in decode_json(answer, Answer[tuple[str, ...]]).value:
        raise UsageError(
            f"this guest's kernel has its {_STRUCT} in a place of which Glass Box does not know, so processes of a fork would repeat random"
            " numbers; use a kernel of another release"
        )
    return []


async def _find(machine: ServedMachine, target: str, size: int) -> list[tuple[int, int]]:
    """Where in RAM the first `size` bytes of `target` are, once for each processor that has one; empty where there is none."""
    try:
        answer = await _ask(machine, Operations.resolve, target=target)
    except UsageError:
        return []
    found = decode_json(answer, Answer[TargetMemory]).value
    runs = joined((int(each.ram_offset), each.size) for each in found.ranges)
    # Of a processor's variable that goes on in the next page the first part alone is told. The kernel's image and the memory that
    # boot gives each processor are contiguous.
    if not runs or any(length < size and (offset + length) % PAGE_SIZE for offset, length in runs):
        raise MachineError(f"{target} of the guest's kernel is not where it should be; fork the machine once it is up")
    return [(offset, size) for offset, _ in runs]


async def _ask(machine: ServedMachine, operation: Operation[..., Any], **arguments: object) -> bytes:
    return (await machine.worker.ask(operation, encode_json(arguments), machine.state.grade, machine.epoch))[0]


def joined(rows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Rows of (offset, bytes), those in one that follow each other: what lies across pages is told page by page."""
    runs: list[tuple[int, int]] = []
    for offset, size in rows:
        if runs and offset == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + size)
        else:
            runs.append((offset, size))
    return runs
