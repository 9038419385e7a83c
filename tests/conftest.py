"""Fixtures: one real machine a session, on Alpine where it is available.

Nothing of the user's is touched but the image cache: runtime folder, logs and symbols live in the session's
temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Machine, booted, find_or_build_image

from qemu_bridge.client import Client
from qemu_bridge.errors import ImageError, MachineError
from qemu_bridge.images import BuiltImage
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.launch import launch
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.wire import connection


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--image alpine-612`` runs every guest test on that image instead."""
    parser.addoption("--image", default="alpine", help="the guest image that tests boot")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the image that the tests used."""
    if find_or_build_image.cache_info().currsize:
        image = find_or_build_image(config.getoption("image"))
        terminalreporter.write_line(f"guest image: {image.name}, kernel {image.kernel_release}, id {image.image_id}")


@pytest.fixture(scope="session", autouse=True)
def isolated_folders() -> Iterator[Path]:
    """Folders of the session's own, short because a socket's path is limited; nothing may be left in shared memory."""
    folder = Path(tempfile.mkdtemp(prefix="gb-"))
    shared = Path(tempfile.mkdtemp(prefix="glassbox-test-", dir="/dev/shm"))
    own = {
        "XDG_RUNTIME_DIR": folder / "run",
        "XDG_STATE_HOME": folder / "state",
        "XDG_CONFIG_HOME": folder / "config",
        "GLASSBOX_SYMBOL_CACHE": folder / "symbols",
        "GLASSBOX_RAM_DIR": shared,
    }
    kept = {key: os.environ.get(key) for key in own}
    os.environ.update({key: str(path) for key, path in own.items()})
    yield folder
    connection.prune()
    left = list(shared.iterdir())
    for key, value in kept.items():
        os.environ.pop(key, None)
        if value is not None:
            os.environ[key] = value
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(shared, ignore_errors=True)
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> BuiltImage:
    """The guest image of this session."""
    return find_or_build_image(pytestconfig.getoption("image"))


@pytest.fixture(scope="session")
def machine(image: BuiltImage, isolated_folders: Path) -> Iterator[Machine]:
    """The session's guest. Tests may pause it and run commands in it, and must leave it running."""
    with booted("session", image) as found:
        yield found


@pytest.fixture(scope="session")
def machine_612(isolated_folders: Path) -> Iterator[Machine]:
    """A guest on Linux 6.12, the newest release that Glass Box is tested with; skips where apt offers none."""
    try:
        image = find_or_build_image("alpine-612")
    except ImageError as error:
        pytest.skip(str(error))
    with booted("session-612", image) as found:
        yield found


@pytest.fixture(scope="session", params=["machine", "machine_612"])
def each_machine(request: pytest.FixtureRequest) -> Machine:
    """The session's guest, then the one on Linux 6.12: for what must hold on either side of `symbols.releases`."""
    found: Machine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def control(machine: Machine) -> Iterator[TraceControl]:
    """The shared file of the trace of `machine`, disarmed again afterwards."""
    found = TraceControl(Path(machine.client.connection.trace_path))
    yield found
    machine.client.trace_disarm()
    found.close()


@pytest.fixture
def victim(image):
    """A machine that a test may kill: QEMU stands before its first instruction."""
    launch(
        MachineConfig(
            name="victim", kernel=image.kernel, initrd=image.initrd, append=image.command_line, qemu_args=("-S",)
        )
    )
    client = Client.connect("victim")
    yield client
    with contextlib.suppress(MachineError):
        if connection.is_alive("victim"):
            client.stop()
    client.close()
    connection.prune()


@pytest.fixture(scope="session")
def device():
    """The graphics device that all tests draw on."""
    from gpu_device.device import request_device

    return request_device()


@pytest.fixture(scope="session")
def is_software() -> bool:
    """Whether Mesa's software driver draws."""
    from gpu_device.device import adapter_name, request_adapter

    return "llvmpipe" in adapter_name(request_adapter())
