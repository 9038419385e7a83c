"""The package's front: both clients, and no asyncio for who does not want it."""

import subprocess
import sys

import pytest

from qemu_bridge import client


def test_both_clients_are_at_the_front():
    assert {name for name in client.__all__ if isinstance(getattr(client, name), type)} == {"Client", "AsyncClient"}
    with pytest.raises(AttributeError):
        client.Nothing  # noqa: B018


def test_the_blocking_client_loads_neither_asyncio_nor_numpy():
    program = (
        "import sys, qemu_bridge.client; print([name for name in ('asyncio', 'numpy', 'wgpu') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
