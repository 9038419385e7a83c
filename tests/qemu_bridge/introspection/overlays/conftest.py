"""What overlays read from, on either release, and a process of several threads."""

from __future__ import annotations

import base64

import pytest
from overlay_checks import THREADED

from qemu_bridge.introspection.overlays import OverlayContext


@pytest.fixture
def context(each_machine):
    return OverlayContext(each_machine.ram, each_machine.kernel)


@pytest.fixture
def threaded(each_machine):
    """The pid of a process of four threads that sleep."""
    script = (
        f"echo {base64.b64encode(THREADED).decode()} | base64 -d >/tmp/four; chmod +x /tmp/four; /tmp/four & echo $!"
    )
    pid = int(each_machine.exec(script + "; usleep 300000"))
    yield pid
    each_machine.exec(f"kill -9 {pid}; rm /tmp/four")
