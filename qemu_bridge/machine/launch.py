"""Start a daemon that starts QEMU, or attaches to a QEMU, a RAM image or a capture.

>>> launch(MachineConfig(name="demo", kernel=Path("vmlinux")))
>>> Client.connect("demo").status().runstate
<Runstate.RUNNING: 'running'>
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tcg_plugin import abi
from tcg_plugin.layout import Capability

from .. import errors
from ..errors import BusyNameError, GlassBoxError, HostError, MachineError, UnknownMachineError, UsageError
from ..host.plain_file import file_state
from ..wire import connection
from ..wire.capture_names import MANIFEST, OWNERS, PAGE_MAP, RAM
from ..wire.connection import Connection
from .config import MachineConfig, find_plugin, find_qemu, qemu_release
from .requests import AttachRequest, Moment, StartAnswer, StartRequest, encode_request

if TYPE_CHECKING:
    from ..dumps.unpack import Progress
    from ..wire.trace_records import ArmOptions

logger = logging.getLogger(__name__)

WaitingDaemon = subprocess.Popen[bytes]

_PATH_VARIABLES = ("GLASSBOX_OVERLAYS", "GLASSBOX_RAM_DIR", "GLASSBOX_SYMBOL_CACHE")
"""Of the environment: paths that the daemon reads."""


@contextlib.contextmanager
def waiting_daemon() -> Iterator[WaitingDaemon]:
    """A daemon that loads while its machine is still being configured, and ends if it gets none."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "qemu_bridge.daemon"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
        # The daemon lives in another folder; a relative path is meant from here.
        env=os.environ | {name: os.path.abspath(path) for name in _PATH_VARIABLES if (path := os.environ.get(name))},
    )
    assert daemon.stdin is not None and daemon.stdout is not None
    with daemon.stdin, daemon.stdout:
        try:
            yield daemon
        finally:
            # Closing its input ends a daemon that got no machine. One that did lives on; a thread reaps it.
            daemon.stdin.close()
            threading.Thread(target=daemon.wait, name="daemon", daemon=True).start()


def launch(
    config: MachineConfig,
    daemon: WaitingDaemon | None = None,
    trace: ArmOptions | None = None,
    *,
    listen: str = "",
    moment: Moment | None = None,
    keep: dict[str, str] | None = None,
) -> None:
    """Start the machine of `config` in `daemon`, else in a new one; returns when QEMU runs and answers.

    The trace plugin is loaded, disarmed; if it is unavailable the machine runs without it and a warning is logged.
    With `trace` it is armed before the first instruction, and this process is the reader that the guest waits for.
    With `listen`, ``tcp://ADDRESS:PORT``, clients on other hosts are served there too (docs/remote.md). `moment` and `keep` are
    as in `StartRequest`.
    Raises what the daemon reports: `BusyNameError`, `UsageError`, `HostError`, `MachineError`; with `trace` also
    `HostError` when there is no plugin.
    """
    if daemon is None:
        with waiting_daemon() as new:
            return launch(config, new, trace, listen=listen, moment=moment, keep=keep)
    config.validate()
    connection.validate_name(config.name)
    qemu, plugin, no_plugin = find_qemu(), None, ""
    try:
        plugin = find_plugin(qemu, config)
    except HostError as error:
        if trace is not None or config.learned:
            raise
        no_plugin = str(error)
        if config.accelerator == "tcg" and not os.environ.get("GLASSBOX_NO_TRACE"):
            logger.warning("machine %r starts without the trace: %s", config.name, error)
    if config.learned:
        _require_learned(qemu)
    if trace is not None:
        trace.validate()
    # The daemon lives in another folder.
    kernel, initrd = (path and path.resolve() for path in (config.kernel, config.initrd))
    config = dataclasses.replace(config, kernel=kernel, initrd=initrd)
    request = StartRequest(config, qemu, plugin, no_plugin, trace, os.getpid(), listen, moment, keep)
    return hand_over(daemon, request)


def _require_learned(qemu: str) -> None:
    """`HostError` where plugins of the QEMU cannot advance a guest."""
    needed = Capability.WRITE_REGISTERS | Capability.WRITE_MEMORY
    release = qemu_release(qemu)
    if needed & ~abi.capabilities(abi.plugin_api(release)):
        oldest = ".".join(map(str, abi.first_release(needed)))
        raise HostError(
            f"plugins of {qemu}, release {release[0]}.{release[1]}, cannot write registers, so no learned loop can run in place;"
            f" use QEMU {oldest} or later: 'just qemu11' makes one for GLASSBOX_QEMU"
        )


_OPENING_TIME_S = 20.0


def attach(
    name: str,
    qmp: Path | None = None,
    ram: Path | None = None,
    layout: str = "",
    *,
    listen: str = "",
    progress: Progress | None = None,
) -> None:
    """Serve a running QEMU or a file with RAM in it, exactly one of them, as machine `name` from a new daemon.

    `qmp` is that QEMU's QMP socket; `ram` a dump of another tool (`qemu_bridge.dumps`), or RAM and nothing else. `layout` says
    where the RAM of such an image lies (`addresses.parse_layout`); it is found from the kernel in it when empty. A dump that
    has to be unpacked tells `progress`. `listen` is as in `launch`.
    Raises what the daemon reports: `BusyNameError`, `UsageError`, `MachineError`; `HostError` without room to unpack.
    """
    connection.validate_name(name)
    if (qmp is None) == (ram is None):
        raise UsageError("nothing to attach to; name either a QMP socket with --qmp or a RAM image with --ram")
    if ram is not None:
        request = _file_request(name, ram, layout, progress)
    else:
        assert qmp is not None
        request = AttachRequest(name, qmp=qmp.absolute(), layout=layout)
    with waiting_daemon() as daemon:
        hand_over(daemon, msgspec.structs.replace(request, listen=listen))


def _file_request(name: str, path: Path, layout: str, progress: Progress | None) -> AttachRequest:
    # Only files need NumPy here, and it takes longer to load than a machine to be asked for.
    from ..dumps.unpack import unpack

    found = unpack(path.absolute(), progress)
    if layout and found.layout:
        raise UsageError(f"{path} is {found.format} and says itself where its RAM lies; leave the layout out")
    return AttachRequest(
        name, ram=Path(found.ram), layout=layout or found.layout, dump=path.absolute(), caveats=found.missing
    )


def capture_name(folder: Path) -> str:
    """The name of the machine as which the capture in `folder` is served.

    A capture that was replaced or changed gets another name, so that no client sees answers about the old one.
    """
    return _name_of_files("capture", folder, MANIFEST, RAM, PAGE_MAP, OWNERS)


def dump_name(path: Path) -> str:
    """The name of the machine as which the file at `path` is served; one that was written again gets another."""
    return _name_of_files("dump", path, "")


def _name_of_files(kind: str, path: Path, *parts: str) -> str:
    place = path.resolve()
    identity = [os.fsencode(place)]
    for part in parts:
        with contextlib.suppress(OSError):
            identity.append(os.fsencode(file_state(place / part)))
    return f"{kind}-{hashlib.sha256(bytes(1).join(identity)).hexdigest()[:16]}"


def open_path(path: Path, progress: Progress | None = None) -> Connection:
    """The connection of the daemon that serves the capture or the dump at `path`, started unless one does already.

    It ends some seconds after its last client. Raises what `captures.files.read_manifest` or `dumps.unpack` raises.
    """
    is_dump = path.is_file()
    name = dump_name(path) if is_dump else capture_name(path)
    request: AttachRequest | None = None
    deadline = time.monotonic() + _OPENING_TIME_S
    while True:
        with contextlib.suppress(UnknownMachineError):
            return connection.find_connection(name)
        # A daemon that is starting or ending holds the lock and has no connection file.
        if request is None and is_dump:
            request = msgspec.structs.replace(_file_request(name, path, "", progress), is_brief=True)
            deadline = time.monotonic() + _OPENING_TIME_S
        with contextlib.suppress(BusyNameError), waiting_daemon() as daemon:
            hand_over(daemon, request or AttachRequest(name, capture=path.resolve()))
        if time.monotonic() > deadline:
            raise MachineError(f"{path} cannot be opened; see {connection.state_path(name) / 'daemon.log'}")


def hand_over(daemon: WaitingDaemon, request: StartRequest | AttachRequest) -> None:
    """Send `daemon` what to serve; returns when it does, and raises the error that it answers."""
    assert daemon.stdin is not None and daemon.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        daemon.stdin.write(encode_request(request))
        daemon.stdin.close()
    line = daemon.stdout.readline()
    if not line:
        raise MachineError(
            f"the daemon of {request.name!r} died during start; see {connection.state_folder(request.name) / 'daemon.log'}"
        )
    answer = msgspec.json.decode(line, type=StartAnswer)
    if not answer.ok:
        raise getattr(errors, answer.kind, GlassBoxError)(answer.message)
