"""Machines that Glass Box did not start, and the end of what a test attached."""

from __future__ import annotations

import pytest
from foreign_qemu import foreign, shared
from support import wait_until

from qemu_bridge.client import Client
from qemu_bridge.wire import connection


@pytest.fixture
def guest(image, tmp_path):
    """A foreign QEMU with a guest that has booted."""
    serial = tmp_path / "serial.log"
    words = ("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", image.command_line)
    with foreign(tmp_path, *shared(tmp_path, "128M"), *words, "-serial", f"file:{serial}") as found:
        wait_until(lambda: serial.exists() and b"glassbox: ready" in serial.read_bytes())
        yield found


@pytest.fixture
def let_go():
    """Stops what a test attached, however it ended."""
    yield
    for found in connection.iter_connections():
        if found.name in ("mine", "other"):
            with Client(found) as client:
                client.stop()
