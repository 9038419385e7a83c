"""The daemon of one machine: ``python -m qemu_bridge.daemon``.

It reads a `MachineConfig` or an `machine.launch.AttachRequest` as JSON from standard input, writes one JSON line to standard
output (``{"ok": true}`` or an error), and keeps running.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import GlassBoxError
from ..machine.config import MachineConfig
from ..machine.launch import AttachRequest
from ..wire import connection as connections
from .lifecycle import Tracing, run_machine, serve_attached


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
        folder = connections.state_folder(name)
    except GlassBoxError as error:
        print(json.dumps({"ok": False, "kind": type(error).__name__, "message": str(error)}))
        return error.exit_status
    log = os.open(folder / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)

    def report(message: dict[str, Any]) -> None:
        print(json.dumps(message), flush=True)
        # The parent reads exactly one line; everything after it goes to the log.
        os.dup2(2, 1)

    try:
        if "attach" in record:
            serve_attached(AttachRequest.from_json(record["attach"]), lambda connection: report({"ok": True}))
        else:
            tracing = _to_tracing(record)
            run_machine(record.pop("qemu"), _to_config(record), lambda connection: report({"ok": True}), tracing)
    except GlassBoxError as error:
        with contextlib.suppress(OSError):
            report({"ok": False, "kind": type(error).__name__, "message": str(error)})
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
