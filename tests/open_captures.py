"""Captures that tests open: what they are asked, and their daemons' end, which nobody waits for."""

from __future__ import annotations

import contextlib
import json

from support import glassbox

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError
from qemu_bridge.machine import launch
from qemu_bridge.wire import connection

READING_VERBS = (
    ("ps",), ("maps", "1"), ("modules",), ("sym", "init_task"), ("overlay",), ("overlay", "mounts"),
    ("overlay", "open-files"), ("whose", "init_task"), ("where", "pid:1"), ("targets", "pid:"),
    ("peek", "0x1000000", "64"), ("find", "Linux version", "--limit", "3"),
)  # fmt: skip
"""What a capture answers as a machine does."""


def ask(name, words):
    """The JSON of a verb, without the name of the moment; it must have done well."""
    verb, *rest = words
    done = glassbox(verb, name, *rest, "--json")
    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    # The moment has another name; everything else is the same.
    for key in ("grade", "generation"):
        if isinstance(answer, dict):
            answer.pop(key, None)
    return answer


def let_go(folder):
    """End the daemon of the capture in `folder`, if there is one."""
    end(launch.capture_name(folder))


def end(name):
    """End the daemon called `name`, if there is one."""
    if connection.is_alive(name):
        with contextlib.suppress(MachineError), Client.connect(name) as client:
            client.stop()
