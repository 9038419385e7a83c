"""Traces in the formats of other tools: ``glassbox trace export FILE --format FORMAT -o OUTPUT``.

Every format is a fold over frames, so exporting needs the memory of one frame, whatever the size of the trace. `FORMATS` names them:
each is a module with ``write(trace, output, naming)``.

- ``parquet``: a folder, every executed block as a row, a file for each frame and one for the dictionary.
- ``json``: the same rows as JSON, a line each.
- ``drcov``: which blocks ran at all, for Lighthouse, Cartographer and other coverage viewers.
- ``bbv``: basic-block vectors for SimPoint.
- ``perfetto``: processes, system calls and exceptions on a time line, for ui.perfetto.dev.
- ``folded``: instructions by call stack and process, for flame graphs.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from ...errors import HostError, UsageError
from ..analysis.naming import Naming
from ..file.reader import TraceReader

__all__ = ["FORMATS", "Naming", "export"]

FORMATS = ("parquet", "json", "drcov", "bbv", "perfetto", "folded")


def export(path: Path, form: str, output: Path, naming: Naming | None = None) -> None:
    """Write the trace at `path` to `output` in one of `FORMATS`; nothing is overwritten.

    `UsageError` for an unknown format or an output that exists, `HostError` if it cannot be written.
    """
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}; give one of {', '.join(FORMATS)}")
    if output.exists():
        raise UsageError(f"{output} exists; give -o another name")
    module = importlib.import_module(f".{form}", __name__)
    with TraceReader(path) as trace:
        try:
            module.write(trace, output, naming or Naming())
        except OSError as error:
            raise HostError(f"{output} cannot be written ({error.strerror or error}); give -o another name") from None
