"""One operation for another program, which gives its arguments and gets its result as JSON: ``python -m viewer job snap``.

Standard input holds one object, ``{"name": MACHINE, "options": {...}}`` with the fields of `SnapOptions` or `VideoOptions`.
Standard output gets a line for each report of progress and one for the end, and nothing else::

    {"progress": [3, 27]}
    {"ok": true, "result": {"path": "demo.png", ...}}
    {"ok": false, "kind": "UsageError", "message": "..."}

`kind` is a class of `qemu_bridge.errors`. Unknown options are ignored.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import IO, Any

from qemu_bridge.errors import GlassBoxError, UsageError

from .picture.snap import Progress, SnapOptions, SnapResult, snap_machine
from .picture.video import VideoOptions, VideoResult, record_machine

log = logging.getLogger(__name__)

_INTERRUPTED = 130
_OPERATIONS: dict[str, type[SnapOptions] | type[VideoOptions]] = {"snap": SnapOptions, "record_video": VideoOptions}


def run_job(operation: str, request: IO[str], answer: IO[str]) -> int:
    """Do `operation` as `request` says and write `answer`; return the exit status: 0, or as the error has it."""

    def write(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=answer, flush=True)

    try:
        name, options = read_request(_OPERATIONS[operation], request.read())
        result = _perform(name, options, lambda done, total: write({"progress": [done, total]}))
    except GlassBoxError as error:
        write({"ok": False, "kind": type(error).__name__, "message": str(error)})
        return error.exit_status
    except KeyboardInterrupt:
        write({"ok": False, "kind": "GlassBoxError", "message": "the job was interrupted; start it again"})
        return _INTERRUPTED
    except Exception as error:
        # Ours, not the caller's: the traceback goes to the log, a sentence to the caller.
        log.exception("the job %s failed", operation)
        sentence = f"the viewer failed ({type(error).__name__}: {error}); its log has the traceback"
        write({"ok": False, "kind": "GlassBoxError", "message": sentence})
        return GlassBoxError.exit_status
    write({"ok": True, "result": dataclasses.asdict(result)})
    return 0


def _perform(name: str, options: SnapOptions | VideoOptions, progress: Progress) -> SnapResult | VideoResult:
    if isinstance(options, SnapOptions):
        return snap_machine(name, options, progress)
    return record_machine(name, options, progress)


def read_request(kind: type[SnapOptions] | type[VideoOptions], text: str) -> tuple[str, SnapOptions | VideoOptions]:
    """(name, options) of a request; `UsageError` for one that is not understood."""
    try:
        request = json.loads(text)
        name, given = request["name"], request.get("options", {})
        known = {field.name: given[field.name] for field in dataclasses.fields(kind) if field.name in given}
        return str(name), kind(**known)
    except UsageError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(
            f'the request of the job is not understood ({reason}); send {{"name": ..., "options": {{...}}}}'
        ) from None
