"""The daemon's lifecycle: start QEMU or attach to a backend, serve it, remove all files.

This is the composition root: no other module imports all the parts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import GlassBoxError
from ..machine.config import MachineConfig, check_ram_space
from ..machine.gpu import GUEST_WORD
from ..machine.requests import AttachRequest, Moment, StartRequest
from ..memory.addresses import RamLayout
from ..wire import connection as connections
from ..wire.connection import Connection
from ..wire.records import Origin
from .backends.backend import Backend
from .backends.started import StartedQemu
from .descriptors import LISTENERS, connection_limit

if TYPE_CHECKING:
    from ..network.place import Link
    from .remote import RemoteFront

ADDRESS_WORD = "glassbox.net="
"""Of the kernel's command line, followed by the address that the guest's init gives its network card."""
END_LIMIT_S = 30.0
"""Seconds that a daemon has from being told to end until it must have ended."""


def _listen(address: str) -> RemoteFront | None:
    """What serves other hosts at `address`; None for an empty one."""
    if not address:
        return None
    # Imported here: few machines are served to other hosts.
    from .remote import RemoteFront

    return RemoteFront(address, connection_limit(2 * LISTENERS))


def _describe(
    config: MachineConfig,
    ram: Path,
    layout: RamLayout,
    origin: Origin = Origin.STARTED,
    remote: RemoteFront | None = None,
) -> Connection:
    runtime = connections.runtime_folder()
    state = connections.state_folder(config.name)
    pages = connections.ram_folder() / f"{connections.shared_prefix()}{config.name}-{os.getpid()}.pages"
    return Connection(
        name=config.name,
        state="starting",
        daemon_pid=os.getpid(),
        control=f"ipc://{runtime / config.name}.control",
        events=f"ipc://{runtime / config.name}.events",
        ram_path=str(ram),
        regions=tuple((int(region.start), int(region.offset), region.size) for region in layout.regions),
        page_map_path=str(pages),
        qmp_path=f"{runtime / config.name}.qmp",
        console_path=str(state / "console.log") if origin is Origin.STARTED else "",
        log_path=str(state / "daemon.log"),
        machine=config.machine,
        accelerator=config.accelerator,
        image=config.image,
        image_id=config.image_id,
        origin=origin,
        started_at=time.time(),
        listen=remote.address if remote is not None else "",
        listen_events=remote.events_address if remote is not None else "",
    )


def run_machine(request: StartRequest, on_running: Callable[[Connection], None]) -> None:
    """Start the machine of `request` and serve it until it ends; removes all its files then.

    Raises `BusyNameError` if the name is taken, `HostError` if its RAM does not fit, `MachineError` if QEMU does
    not start.
    """
    config = request.config
    layout = RamLayout.from_rule(config.machine, config.memory)
    aperture_bytes = 0 if config.gpu is None else config.gpu.aperture
    moment = request.moment
    has_ram = moment is not None and moment.copy is None
    check_ram_space(connections.ram_folder(), (0 if has_ram else config.memory) + aperture_bytes)
    remote = _listen(request.listen)
    lock = connections.acquire_lock(config.name)
    connections.sweep(config.name)
    connections.forget_exit(config.name)
    ram = connections.ram_folder() / f"{connections.shared_prefix()}{config.name}-{os.getpid()}.ram"
    trace = ram.with_suffix(".trace") if request.plugin else None
    aperture = ram.with_suffix(".aperture") if config.gpu is not None else None
    connection = msgspec.structs.replace(
        _describe(config, ram, layout, remote=remote), trace_path=str(trace or ""), no_trace=request.no_plugin
    )
    if config.gpu is not None:
        connection = msgspec.structs.replace(
            connection,
            gpu_port=str(connections.runtime_folder() / f"{config.name}.gpu"),
            aperture_path=str(aperture),
            gpu_weight=config.gpu.weight,
            gpu_memory=config.gpu.memory,
        )
        config = _with_word(config, GUEST_WORD)
    # Old logs may be cleared only once the name is locked.
    os.ftruncate(2, 0)
    os.close(os.open(connection.console_path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    process: StartedQemu | None = None
    try:
        # Written before QEMU starts, so that any other process can clean up after us from this moment on.
        connections.write_connection(connection)
        shared = [(Path(connection.page_map_path), 0)]
        if moment is None:
            shared.append((ram, config.memory))
        else:
            # Imported here: most machines boot.
            from ..timeline.moments import place_ram

            place_ram(moment, ram)
            if moment.console is not None:
                shutil.copyfile(moment.console, connection.console_path)
        if aperture is not None:
            shared.append((aperture, aperture_bytes))
        for path, size in shared:
            # O_EXCL: another user may have planted a file under this name.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            os.truncate(path, size)
        # Again, now that it counts: another guest may have been started at the same moment.
        check_ram_space(ram.parent, 0)
        if trace is not None:
            _make_trace(trace, request, ram, layout)
        # Our end of the link is closed once QEMU has its own, which goes however QEMU goes.
        with _network(config) as link:
            if link is not None:
                config = _with_word(config, f"{ADDRESS_WORD}{link.place.address}")
                address = link.place.address.partition("/")[0]
                connection = msgspec.structs.replace(connection, net=config.net, address=address)
                # A switch that is started from now on knows that this address is taken.
                connections.write_connection(connection)
            console = Path(connection.console_path)
            process = StartedQemu(
                request.qemu, config, ram, console, request.plugin, trace, link, aperture, waits=moment is not None
            )
        connection = msgspec.structs.replace(
            connection,
            state="running",
            qemu_pid=process.process.pid,
            qemu_started=process.started,
            argv=tuple(process.argv),
        )
        connections.write_connection(connection)
        _serve(config, process, connection, lock, on_running, remote, moment, request.keep)
    finally:
        if process is not None and process.process.poll() is None:
            process.process.kill()
            process.process.wait()
        connections.release(config.name, lock, connection.shared_files)


def _network(config: MachineConfig) -> contextlib.AbstractContextManager[Link | None]:
    if not config.net:
        return contextlib.nullcontext()
    # Imported here: a machine without a network needs none of it.
    from ..network.place import open_link

    return open_link(config.net, config.name)


def _with_word(config: MachineConfig, word: str) -> MachineConfig:
    """`config` with a word more on the kernel's command line, by which the guest's init learns of a device."""
    if config.kernel is None:
        return config
    return dataclasses.replace(config, append=f"{config.append} {word}".strip())


def _make_trace(path: Path, request: StartRequest, ram: Path, layout: RamLayout) -> None:
    # Imported here: a machine without the plugin needs none of it.
    from ..trace.recording import control

    control.create(path, request.config.most_vcpus, ram, layout, learned=request.config.learned_mode)
    if request.trace is not None:
        control.TraceControl(path).want(request.trace, request.reader_pid)


def serve_attached(request: AttachRequest, on_running: Callable[[Connection], None]) -> None:
    """Serve the QEMU, the RAM image or the capture that `request` names until it ends or is detached.

    Raises `BusyNameError` if the name is taken, and what `backends.find.find_backend` raises. RAM and QEMU are never modified or ended.
    """
    # Imported here: a daemon that starts a machine needs neither captures nor NumPy.
    from .backends.find import find_backend

    remote = _listen(request.listen)
    lock = connections.acquire_lock(request.name)
    connections.sweep(request.name)
    connections.forget_exit(request.name)
    paths: tuple[str, ...] = ()
    try:
        backend, config, ram, layout = find_backend(request)
        connection = msgspec.structs.replace(
            _describe(config, ram, layout, backend.origin, remote), state="running", qmp_path=str(request.qmp or "")
        )
        os.ftruncate(2, 0)
        connections.write_connection(connection)
        os.close(os.open(connection.page_map_path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        paths = connection.shared_files
        _serve(config, backend, connection, lock, on_running, remote)
        if backend.idle_timeout_s is not None:
            # Its name is made up from its path: nobody looks for its log once it was closed well.
            shutil.rmtree(connections.state_path(request.name), ignore_errors=True)
    finally:
        connections.release(request.name, lock, paths)


def _serve(
    config: MachineConfig,
    backend: Backend,
    connection: Connection,
    lock: int,
    on_running: Callable[[Connection], None],
    remote: RemoteFront | None,
    moment: Moment | None = None,
    keep: dict[str, str] | None = None,
) -> None:
    # Imported while the guest boots: event loop, ZeroMQ and QMP take a tenth of a boot.
    import asyncio

    from ..host.logs import log_to_stderr
    from .service import Service

    log_to_stderr()
    try:
        asyncio.run(Service(config, backend, connection, lock, _limit_end, remote, moment, keep).run(on_running))
    except Exception as error:
        # Whoever asks what became of the machine is told; the traceback goes to the log.
        fault = "" if isinstance(error, GlassBoxError) else f"its daemon failed: {type(error).__name__}: "
        connections.write_exit(config.name, f"{fault}{error}")
        raise


def _limit_end() -> None:
    """End the process after `END_LIMIT_S`, wherever it stands then, which its log says.

    Each wait of the end has a limit of its own. This one is for what nobody has thought of, and waits in C too; what
    it leaves behind is swept by the next command, as after a kill.
    """
    faulthandler.dump_traceback_later(END_LIMIT_S, exit=True)
