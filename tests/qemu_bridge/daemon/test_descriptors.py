"""However few descriptors the system allows, a daemon lives with them, or says how many it needs."""

import resource
import subprocess
import sys

from flood import flood
from support import glassbox, wait_until

from qemu_bridge.client import Client
from qemu_bridge.daemon.descriptors import (
    FEWEST_CONNECTIONS,
    LISTENERS,
    MOST_CONNECTIONS,
    MOST_UNCOUNTED,
    OTHER_DESCRIPTORS,
    connection_limit,
)
from qemu_bridge.errors import EXIT_FAILED

FEW = LISTENERS * (FEWEST_CONNECTIONS + MOST_UNCOUNTED) + OTHER_DESCRIPTORS


def attach_with_descriptors(count, image):
    words = [sys.executable, "-m", "qemu_bridge.cli", "attach", "mine", "--ram", str(image)]
    script = f'ulimit -n {count}; exec "$0" "$@"'
    return subprocess.run(["bash", "-c", script, *words], check=False, capture_output=True, text=True)


def test_few_descriptors_are_enough_to_live(tmp_path):
    """The limit cannot be raised beyond what the system allows."""
    image = tmp_path / "image"
    image.write_bytes(bytes(3 << 12))
    answer = attach_with_descriptors(FEW - 1, image)
    assert answer.returncode == EXIT_FAILED and f"a daemon needs {FEW}" in answer.stderr and "ulimit" in answer.stderr
    assert attach_with_descriptors(FEW, image).returncode == 0
    with Client.connect("mine") as client:
        try:
            assert client.status().origin == "image"
            for _ in range(3):
                with flood(client.connection.control, 3 * FEWEST_CONNECTIONS):
                    assert client.status().origin == "image"
        finally:
            wait_until(lambda: glassbox("stop", "mine").returncode == 0)


def test_the_limit_follows_what_the_system_allows(monkeypatch):
    for soft, limit in (
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
        (FEW, FEWEST_CONNECTIONS),
        (FEW + 20, FEWEST_CONNECTIONS + 10),
        (1 << 20, MOST_CONNECTIONS),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda which, soft=soft: (soft, soft))
        assert connection_limit() == limit
