"""``start NAME --trace-from-boot FILE``: a recorder process, from a machine's first instruction to its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GlassBoxError, MachineError, UsageError
from .options import say
from .trace_record import describe, interruptible

if TYPE_CHECKING:
    from ..machine.config import MachineConfig

_RUNNING = "running"


def start_recorder(config: MachineConfig, output: Path) -> None:
    """Start the machine of `config` from a process of its own that records it from its first instruction to its end.

    Returns once the machine runs. `MachineError` says why it does not, `UsageError` that `output` exists; the recorder logs to trace.log beside the machine's
    other logs.
    """
    from ..wire import connection

    log = connection.state_path(config.name) / "trace.log"
    output = output.absolute()
    if output.exists():
        raise UsageError(f"{output} exists; give --trace-from-boot another name")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        status = 1
        try:
            os.setsid()
            _record_from_boot(config, output, log, write_end)
            status = 0
        except GlassBoxError as error:
            say(str(error))
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read().decode(errors="replace")
    if answer != _RUNNING:
        raise MachineError(answer or f"the recorder ended without a message; look into {log}")


def _record_from_boot(config: MachineConfig, output: Path, log: Path, pipe: int) -> None:
    import msgspec

    from ..machine.launch import launch
    from ..trace.recording.control import TraceControl
    from ..trace.recording.record import drain
    from ..trace.recording.recorder import Recorder
    from ..wire import connection
    from ..wire.trace_records import ArmOptions

    wanted = ArmOptions()
    try:
        connection.state_folder(config.name)
        launch(config, trace=wanted)
        control = TraceControl(Path(connection.find_connection(config.name).trace_path))
        about = {"machine": config.name, "image": config.image, **msgspec.to_builtins(wanted)}
        recorder = Recorder(control, output, about)
        sink = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (sink, 1), (sink, 2)):
            os.dup2(descriptor, target)
    except BaseException as error:
        os.write(pipe, str(error).encode())
        raise
    os.write(pipe, _RUNNING.encode())
    os.close(pipe)
    with interruptible() as stopped:
        try:
            drain(recorder, stopped)
        finally:
            say(describe(recorder.finish()))
