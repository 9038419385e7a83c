"""The daemon of one machine: starts QEMU or joins one, serves it, and leaves nothing behind when it ends.

``python -m qemu_bridge.daemon`` reads a `MachineConfig`, or what to attach to (`attach.Wanted`), as JSON from standard
input, writes one JSON line to standard output (``{"ok": true}`` or an error), and lives on. It is the composition root:
nothing else imports the parts together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import GlassBoxError
from ..machine.config import MachineConfig, check_ram_space
from ..memory.addresses import RamLayout
from ..wire import connection
from ..wire.connection import Connection
from .backends.started import Origin, Qemu


@dataclasses.dataclass(frozen=True, slots=True)
class Tracing:
    """The plugin to load, or why there is none; `armed` asks for a window from the first instruction on."""

    plugin: Path | None = None
    reason: str = ""
    armed: dict[str, Any] | None = None


def _describe(config: MachineConfig, ram: Path, layout: RamLayout, origin: str = "started") -> Connection:
    runtime = connection.runtime_folder()
    state = connection.state_folder(config.name)
    pages = connection.ram_folder() / f"{connection.shared_prefix()}{config.name}-{os.getpid()}.pages"
    return Connection(
        name=config.name,
        state="starting",
        daemon_pid=os.getpid(),
        control=f"ipc://{runtime / config.name}.control",
        events=f"ipc://{runtime / config.name}.events",
        ram_path=str(ram),
        regions=tuple((region.start, region.offset, region.size) for region in layout.regions),
        page_map_path=str(pages),
        qmp_path=f"{runtime / config.name}.qmp",
        console_path=str(state / "console.log") if origin == "started" else "",
        log_path=str(state / "daemon.log"),
        machine=config.machine,
        accelerator=config.accelerator,
        image=config.image,
        image_id=config.image_id,
        origin=origin,
        started_at=time.time(),
    )


def keep(
    qemu: str, config: MachineConfig, on_running: Callable[[Connection], None], tracing: Tracing | None = None
) -> None:
    """Start the machine on the program `qemu` and serve it until it ends; nothing of it is left behind then.

    Raises `BusyNameError` if the name is taken, `HostError` if its RAM has no room, `MachineError` if QEMU does
    not start.
    """
    layout = RamLayout.from_rule(config.machine, config.memory)
    check_ram_space(connection.ram_folder(), config.memory)
    lock = connection.acquire_lock(config.name)
    connection.sweep(config.name)
    ram = connection.ram_folder() / f"{connection.shared_prefix()}{config.name}-{os.getpid()}.ram"
    tracing = tracing or Tracing()
    trace = ram.with_suffix(".trace") if tracing.plugin else None
    found = dataclasses.replace(_describe(config, ram, layout), trace_path=str(trace or ""), no_trace=tracing.reason)
    # The logs are ours to clear only now that the name is.
    os.ftruncate(2, 0)
    os.close(os.open(found.console_path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    process: Qemu | None = None
    try:
        # The file stands before QEMU does, so that whoever finds it can sweep up after us at any moment.
        connection.write_connection(found)
        for path, size in ((ram, config.memory), (Path(found.page_map_path), 0)):
            # Exclusive, so that nobody else's file, planted under the name, is taken for ours.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            os.truncate(path, size)
        if trace is not None:
            _make_trace(trace, config, ram, layout, tracing.armed)
        process = Qemu(qemu, config, ram, Path(found.console_path), tracing.plugin, trace)
        found = dataclasses.replace(
            found, state="running", qemu_pid=process.process.pid, qemu_started=process.started, argv=tuple(process.argv)
        )
        connection.write_connection(found)
        # Loaded while the guest boots: event loop, ZeroMQ, QMP and NumPy take a tenth of a boot.
        _serve(config, process, found, on_running)
    finally:
        if process is not None and process.process.poll() is None:
            process.process.kill()
            process.process.wait()
        connection.remove_files(config.name, found.shared_files)
        os.close(lock)


def _make_trace(path: Path, config: MachineConfig, ram: Path, layout: RamLayout, armed: dict[str, Any] | None) -> None:
    from ..trace.recording import control

    control.create(path, config.smp, ram, layout)
    if armed is not None:
        reader_pid = int(armed.pop("reader_pid"))
        control.TraceControl(path).want(control.ArmOptions.from_json(armed), reader_pid)


def join(wanted: dict[str, str], on_running: Callable[[Connection], None]) -> None:
    """Serve the QEMU or the RAM image that `wanted` names (`attach.Wanted`), until it ends or is let go.

    Raises `BusyNameError` if the name is taken, and what `attach.find` raises. Neither RAM nor QEMU is ever harmed.
    """
    from .backends import attached as attach

    name = wanted["name"]
    lock = connection.acquire_lock(name)
    connection.sweep(name)
    paths: tuple[str, ...] = ()
    try:
        origin, config, ram, layout = attach.find(attach.Wanted.from_json(wanted))
        found = dataclasses.replace(_describe(config, ram, layout, origin.kind), state="running")
        found = dataclasses.replace(found, qmp_path=wanted.get("qmp", ""))
        os.ftruncate(2, 0)
        connection.write_connection(found)
        os.close(os.open(found.page_map_path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        paths = found.shared_files
        _serve(config, origin, found, on_running)
    finally:
        connection.remove_files(name, paths)
        os.close(lock)


def _serve(config: MachineConfig, origin: Origin, found: Connection, on_running: Callable[[Connection], None]) -> None:
    import asyncio
    import logging

    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)

    from .service import Service

    asyncio.run(Service(config, origin, found).run(on_running))


def _to_config(record: dict[str, Any]) -> MachineConfig:
    for key in ("kernel", "initrd"):
        record[key] = Path(record[key]) if record[key] else None
    return MachineConfig(**record | {"qemu_args": tuple(record["qemu_args"])})


def _to_tracing(record: dict[str, Any]) -> Tracing:
    plugin, reason, armed = record.pop("plugin", None), record.pop("no_plugin", ""), record.pop("trace", None)
    return Tracing(Path(plugin) if plugin else None, reason, armed)


def main() -> int:
    """Entry point of ``python -m qemu_bridge.daemon``."""
    text = sys.stdin.read()
    if not text:
        return 0
    record = json.loads(text)
    name = record["attach"]["name"] if "attach" in record else record["name"]
    try:
        folder = connection.state_folder(name)
    except GlassBoxError as error:
        print(json.dumps({"ok": False, "kind": type(error).__name__, "message": str(error)}))
        return error.exit_status
    log = os.open(folder / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)

    def report(message: dict[str, Any]) -> None:
        print(json.dumps(message), flush=True)
        # Whoever started us reads one line; from here on we talk to the log.
        os.dup2(2, 1)

    try:
        if "attach" in record:
            join(record["attach"], lambda found: report({"ok": True}))
        else:
            tracing = _to_tracing(record)
            keep(record.pop("qemu"), _to_config(record), lambda found: report({"ok": True}), tracing)
    except GlassBoxError as error:
        with contextlib.suppress(OSError):
            report({"ok": False, "kind": type(error).__name__, "message": str(error)})
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
