"""A machine whose switch has ended joins its network again, at the switch that the first of them starts."""

from __future__ import annotations

import asyncio
import logging

from ..errors import GlassBoxError
from ..network.place import connect_link
from ..wire.connection import Connection

logger = logging.getLogger(__name__)

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0


async def rejoin(connection: Connection) -> None:
    """Have the switch of the machine's network connect to its QEMU, which lost the one before; tried until it does."""
    logger.warning("the switch of network %s has ended; the machine joins it again", connection.net)
    pause_s = _SHORTEST_PAUSE_S
    while True:
        try:
            place = await asyncio.to_thread(connect_link, connection.net, connection.name)
            break
        except (GlassBoxError, OSError) as error:
            logger.warning("the machine cannot join network %s: %s", connection.net, error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    if place.address.partition("/")[0] != connection.address:
        logger.error("the guest has the address %s, and the network takes it for %s", connection.address, place.address)
