"""Keeps the state of a boot whose user space is just up, for later starts, before any client is told that it is."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from ..errors import GlassBoxError
from ..memory.sparse import data_bytes
from ..timeline import warm
from . import checkpoints, forks
from .served import ServedMachine

logger = logging.getLogger(__name__)


async def keep(machine: ServedMachine, parts: dict[str, str]) -> None:
    """Keep the machine's state as that of a boot with `parts`; the log says why where it cannot be."""
    try:
        await checkpoints.check(machine)
        await forks.check_state(machine)
        warm.check_size(data_bytes(Path(machine.connection.ram_path), machine.connection.layout.size))
        random = await forks.find_random(machine)
        draft = warm.make_draft()
        try:
            async with machine.vcpus.held(quietly=True):
                await forks.save(machine, draft / warm.RAM, draft / warm.DEVICES)
                shutil.copyfile(machine.connection.console_path, draft / warm.CONSOLE)
            await asyncio.to_thread(warm.keep, draft, parts, random)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except (GlassBoxError, OSError) as error:
        logger.warning("this boot is not kept for warm starts: %s", error)
