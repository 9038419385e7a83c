"""A service that tests share, in a runtime folder of its own."""

import tempfile
from pathlib import Path

import pytest

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.service import Client, Server


@pytest.fixture(scope="package")
def server():
    with tempfile.TemporaryDirectory(prefix="gb-") as folder, Hypervisor() as hypervisor:
        with Server(hypervisor, Path(folder, "gpu.sock")) as found:
            found.hypervisor = hypervisor
            yield found
        assert not hypervisor.tenants()


@pytest.fixture
def client(server):
    with Client(server.path) as found:
        yield found
