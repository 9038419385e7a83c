"""Traces in the formats of other tools: ``glassbox trace export FILE --format FORMAT -o OUTPUT``.

Every format is a fold over frames, so a trace of any size is exported in the memory of one frame. A format is a module of this
package with ``write(trace, output, naming)``; `FORMATS` lists them by file name, so a new file is a new format.

- ``parquet``: a folder, every executed block as a row, a file for each frame and one for the dictionary.
- ``json``: the same rows as JSON, a line each.
- ``drcov``: which blocks ran at all, for Lighthouse, Cartographer and other coverage viewers.
- ``bbv``: basic-block vectors for SimPoint.
- ``perfetto``: processes, system calls and exceptions on a time line, for ui.perfetto.dev.
- ``folded``: instructions by call stack and process, for flame graphs.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import HostError, UsageError

# Imported when a trace is exported: the command line lists `FORMATS` in every start and must not wait for NumPy.
if TYPE_CHECKING:
    from ..analysis.naming import Naming

__all__ = ["FORMATS", "export"]

_HELPERS = ("__init__", "perfetto_packets", "rows")
FORMATS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _HELPERS))


def export(path: Path, form: str, output: Path, naming: Naming | None = None) -> None:
    """Write the trace at `path` to `output` in one of `FORMATS`; never overwrites, and leaves nothing behind if it fails.

    `UsageError` for an unknown format or an output that exists, `HostError` if it cannot be written.
    """
    from ..analysis.naming import Naming
    from ..file.reader import TraceReader

    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}; give one of {', '.join(FORMATS)}")
    if output.exists():
        raise UsageError(f"{output} exists; give -o another name")
    module = importlib.import_module(f".{form}", __name__)
    with TraceReader(path) as trace:
        try:
            with _draft_folder(output) as draft:
                module.write(trace, draft / output.name, (naming or Naming()).during(trace.info.about))
                _move_all(draft, output.parent)
        except OSError as error:
            raise HostError(f"{output} cannot be written ({error.strerror or error}); give -o another name") from None


@contextlib.contextmanager
def _draft_folder(output: Path) -> Iterator[Path]:
    """A folder beside `output`, gone afterwards, for what is not complete yet."""
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name[:100]}.", dir=output.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_all(source: Path, destination: Path) -> None:
    """Move what is in a folder; `UsageError` if some of it exists already, with nothing moved."""
    made = sorted(source.iterdir())
    for path in made:
        if os.path.lexists(destination / path.name):
            raise UsageError(f"{destination / path.name} exists; give -o another name")
    for path in made:
        path.rename(destination / path.name)
