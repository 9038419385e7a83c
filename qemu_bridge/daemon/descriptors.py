"""How many descriptors a daemon may have open, and how many connections fit among them.

The numbers follow from what libzmq does; see `listener`. This module loads nothing that QEMU would have to wait for.
"""

from __future__ import annotations

import contextlib
import resource

from ..errors import HostError

MOST_CONNECTIONS = 1024
"""Of one socket, where the system allows descriptors enough."""

FEWEST_CONNECTIONS = 64
"""With less room than this for each socket a daemon does not start."""

BACKLOG = 100
"""Connections that the system holds ready for one socket: they are taken even after its file was moved aside."""

MOST_UNCOUNTED = 1000 + 1 + 1 + BACKLOG
"""Of one socket: libzmq holds 1000 events (its default high-water mark), we one and are at work on one; then the backlog."""

OTHER_DESCRIPTORS = 512
"""What the rest of a daemon has open at most: RAM, logs, rings, captures, the monitor."""

LISTENERS = 2
"""In one daemon: control and events; twice as many where it listens for other hosts too."""


def raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as the system allows: connections take one each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connection_limit(listeners: int = LISTENERS) -> int:
    """How many connections each of so many listeners takes; `HostError` if the system allows too few descriptors for a daemon."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    limit = (soft - OTHER_DESCRIPTORS) // listeners - MOST_UNCOUNTED
    if limit < FEWEST_CONNECTIONS:
        needed = listeners * (FEWEST_CONNECTIONS + MOST_UNCOUNTED) + OTHER_DESCRIPTORS
        raise HostError(
            f"{soft} open files are allowed here and a daemon needs {needed}; raise the limit (`ulimit -Hn`)"
        )
    return min(MOST_CONNECTIONS, limit)
