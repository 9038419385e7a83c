"""A viewer as the daemon knows one: whoever joins and takes events."""

import contextlib
import threading

from support import wait_until

from qemu_bridge.client import Client
from qemu_bridge.wire.event_records import ViewerEvent


@contextlib.contextmanager
def opened(machine):
    """A viewer's session, and the events that it gets."""
    events, is_over = [], threading.Event()
    with Client.connect(machine.name) as client:
        session = client.viewer_join(80)

        def collect():
            for each in client.events(session, is_over.is_set):
                if isinstance(each, ViewerEvent):
                    events.append(each)

        thread = threading.Thread(target=collect)
        thread.start()
        wait_until(lambda: session in [row.session for row in machine.client.viewers()])
        yield session, events
        is_over.set()
        thread.join()
    wait_until(lambda: session not in [row.session for row in machine.client.viewers()])
