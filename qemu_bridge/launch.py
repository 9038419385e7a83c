"""Start a machine: the daemon as a process of its own, which starts QEMU.

>>> launch(MachineConfig(name="demo", kernel=Path("vmlinux")))
>>> Client.connect("demo").status()["runstate"]
'running'
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

from . import connection, errors
from .errors import GlassBoxError, MachineError
from .machine import MachineConfig


def launch(config: MachineConfig) -> None:
    """Start the daemon of `config`; returns when QEMU runs and answers.

    Raises what the daemon reports: `BusyNameError`, `UsageError`, `HostError`, `MachineError`.
    """
    config.validate()
    connection.validate_name(config.name)
    record = dataclasses.asdict(config)
    for key in ("kernel", "initrd"):
        record[key] = str(record[key].resolve()) if record[key] else None
    log_path = connection.state_folder(config.name) / "daemon.log"
    with open(log_path, "wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "qemu_bridge.daemon"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    assert daemon.stdin is not None and daemon.stdout is not None
    with daemon.stdin as request, daemon.stdout as reply:
        request.write(json.dumps(record).encode())
        request.close()
        answer = reply.readline()
    if not answer:
        raise MachineError(f"the daemon of {config.name!r} died at once; see {log_path}")
    message = json.loads(answer)
    if not message["ok"]:
        daemon.wait()
        raise getattr(errors, message["kind"], GlassBoxError)(message["message"])
    # The daemon lives on without us; there is nothing to wait for.
    daemon.returncode = 0
