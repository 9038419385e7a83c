"""``start NAME --foreground``: stay until the machine ends, as a service of systemd does, which is told when it is up."""

from __future__ import annotations

import os
import socket

from ..errors import EXIT_FAILED
from .options import complain, end_tidily, say


def stay(name: str) -> int:
    """Wait until machine `name` ends, and return the exit status; Ctrl-C or SIGTERM stops the machine."""
    from ..client import Client
    from ..wire.event_records import ExitedEvent

    with Client.connect(name) as client:
        try:
            # In here: systemd may stop the service as soon as it is told that it is up.
            end_tidily()
            notify("READY=1")
            for event in client.events():
                if isinstance(event, ExitedEvent):
                    # A status that nobody knows is that of a daemon which was killed.
                    tell = say if event.status == 0 else complain
                    tell(f"{name} has ended: {event.reason}")
                    return 0 if event.status == 0 else EXIT_FAILED
        except KeyboardInterrupt:
            notify("STOPPING=1")
            client.stop()
    return 0


def notify(state: str) -> None:
    """Tell systemd the service's state (sd_notify(3)), if it started this process."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
            sink.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
