"""Ends the daemons of captures that a test opened, instead of waiting until they end by themselves."""

from __future__ import annotations

import contextlib

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError
from qemu_bridge.machine import launch
from qemu_bridge.wire import connection


def let_go(folder):
    """End the daemon of the capture in `folder`, if there is one."""
    end(launch.capture_name(folder))


def end(name):
    """End the daemon called `name`, if there is one."""
    if connection.is_alive(name):
        with contextlib.suppress(MachineError), Client.connect(name) as client:
            client.stop()
