"""Fixtures: one real machine a session, on Alpine where it is available.

Nothing of the user's is touched but the image cache: runtime folder, logs and symbols live in the session's
temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
from kernels import IN_SHORT_RUNS, RELEASES, build_kernel_image
from support import OUT, Machine, booted, find_or_build_image, stop
from workers import ByGuest
from xdist.remote import Producer

from qemu_bridge.client import Client
from qemu_bridge.errors import HostError, ImageError
from qemu_bridge.host.folders import cache_folder
from qemu_bridge.images import BuiltImage
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.debian_qemu import find_or_build_private_qemu
from qemu_bridge.machine.gpu import GpuShare
from qemu_bridge.machine.launch import launch
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.wire import connection

# How long an example takes says more about the host's other work than about the code.
hypothesis.settings.register_profile("any host", deadline=None)
hypothesis.settings.load_profile("any host")


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
    OUT.mkdir(exist_ok=True)
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
    script, session = Path(__file__).with_name("cleaner.py"), str(os.getpid())
    cleaner = subprocess.Popen(
        [sys.executable, script, session, own["XDG_RUNTIME_DIR"], folder, shared],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    os.environ.update({key: str(path) for key, path in own.items()})
    yield folder
    connection.prune()
    left = list(shared.iterdir())
    for key, value in kept.items():
        os.environ.pop(key, None)
        if value is not None:
            os.environ[key] = value
    cleaner.communicate(b"\n", timeout=120)
    assert cleaner.returncode == 0, "something is left behind; the cleaner's message is above"
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
def gpu_machine(image: BuiltImage, isolated_folders: Path) -> Iterator[Machine]:
    """A guest with a share of a GPU. Tests run commands in it, and leave nothing that runs."""
    with booted("gpu-guest", image, memory=96 << 20, gpu=GpuShare(60.0, 16 << 20)) as found:
        yield found


@pytest.fixture(scope="module")
def second_machine(image: BuiltImage, isolated_folders: Path) -> Iterator[Machine]:
    """Another guest, to stand beside the session's: of a module alone, as elsewhere the session's is the only one."""
    with booted("second", image, memory=96 << 20) as found:
        yield found


@pytest.fixture(scope="session")
def machine_612(isolated_folders: Path) -> Iterator[Machine]:
    """A guest on Linux 6.12; skips where apt offers none."""
    try:
        image = find_or_build_image("alpine-612")
    except ImageError as error:
        pytest.skip(str(error))
    with booted("session-612", image) as found:
        yield found


@pytest.fixture(scope="session")
def qemu11() -> str:
    """The program of the private QEMU 11, put together once a host; skips where Debian's archive cannot be reached."""
    try:
        return str(find_or_build_private_qemu(lambda line: None))
    except HostError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["system's", "qemu11"])
def each_qemu(request: pytest.FixtureRequest) -> Iterator[None]:
    """Machines that are started meanwhile run on the QEMU of this host, then on the private QEMU 11."""
    chosen = {"GLASSBOX_QEMU": request.getfixturevalue("qemu11")} if request.param == "qemu11" else {}
    with mock.patch.dict(os.environ, chosen):
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is kept of boots, in a cache that has all else of the user's."""
    own = tmp_path / "cache" / "glassbox"
    own.mkdir(parents=True)
    for path in cache_folder("images").parent.iterdir():
        if path.name != "warm":
            (own / path.name).symlink_to(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return own / "warm"


@pytest.fixture(scope="session")
def apt_lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what apt knows of Debian's other suites."""
    return tmp_path_factory.mktemp("apt")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kernels that no image comes with run all tests in long runs; some of them run those marked `every_kernel` in short ones too.

    What is marked `long_on_qemu11` runs on the second QEMU in long runs only.
    """
    for item in items:
        parameters = getattr(item, "callspec", None)
        guest = parameters.params.get("each_machine") if parameters is not None else None
        is_short = guest in IN_SHORT_RUNS and item.get_closest_marker("every_kernel") is not None
        if guest in RELEASES and not is_short:
            item.add_marker(pytest.mark.long)
        is_second = parameters is not None and parameters.params.get("each_qemu") == "qemu11"
        if is_second and item.get_closest_marker("long_on_qemu11") is not None:
            item.add_marker(pytest.mark.long)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGuest:
    """Who shares the tests out when several processes run them."""
    return ByGuest(config, log)


@pytest.fixture(scope="session", params=["machine", "machine_612", *RELEASES])
def each_machine(request: pytest.FixtureRequest, isolated_folders: Path, apt_lists: Path) -> Iterator[Machine]:
    """Guests on each side of the rows of `symbols.releases`: the session's, one on Linux 6.12, and newer ones."""
    if request.param not in RELEASES:
        yield request.getfixturevalue(request.param)
        return
    image = build_kernel_image(request.param, apt_lists)
    with booted(f"kernel-{request.param}", image) as found:
        yield found


@pytest.fixture
def with_modules(each_machine: Machine) -> None:
    """For tests of modules: Debian's archive keeps no modules of some releases."""
    if each_machine.name.startswith("kernel-") and not each_machine.exec("cat /proc/modules"):
        pytest.skip("no modules of this release are in the archive")


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
    client.close()
    stop("victim")
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
