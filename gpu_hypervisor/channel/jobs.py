"""Jobs of guests: what the engine is asked for, and what the guest is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pixel_cpu.backends.launch import DEFAULT_FUEL

from ..engine import Job, Origin, Submission
from ..scheduler.classes import JobClass
from .aperture import Aperture
from .messages import Language, Memory, Submit, accepted
from .payload import PayloadError, Writer

_PRINTED_BYTES = 1000
_LONGEST_S = 86400.0
_MOST_FUEL = 1 << 62
_CLASSES: Mapping[int, JobClass | None] = {
    0: None,
    1: JobClass.REALTIME,
    2: JobClass.BATCH,
    3: JobClass.THROUGHPUT,
    4: JobClass.INTERACTIVE,
}
_STATES = {
    name: number for number, name in enumerate(("BUILDING", "QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"), 1)
}
_STATES["QUEUED_BUILD"] = _STATES["BUILDING"]


def typed_view(aperture: Aperture, given: Memory, name: str) -> Any:  # noqa: ANN401  # an array of the element's type
    """The array that argument `name` is, in place; `HandleError` outside of the session's memory, `PayloadError` for half an element."""
    view = aperture.view(given)
    if given.size % int(given.element.dtype[2:]):
        raise PayloadError(f"{given.size} bytes of {name} are no whole elements of {given.element.name.lower()}")
    return view.view(given.element.dtype)


def to_submission(request: Submit, text: str, arguments: Mapping[str, Any], origin: Origin | None = None) -> Submission:
    """What the engine is asked for `request`; `PayloadError` for a class that is none."""
    if request.job_class not in _CLASSES:
        raise PayloadError(f"{request.job_class} is no class; they go up to {max(_CLASSES)}")
    has_blocks = request.blocks > 0
    return Submission(
        text=text,
        language={Language.GPK: "gpk", Language.IR: "ir"}[request.language],
        kernel=request.kernel or None,
        lanes=None if has_blocks else request.lanes,
        blocks=request.blocks if has_blocks else None,
        threads=request.threads or None,
        arguments=arguments,
        job_class=_CLASSES[request.job_class],
        deadline_s=min(request.deadline_us / 1e6, _LONGEST_S) if request.deadline_us else None,
        seconds=min(request.limit_us / 1e6, _LONGEST_S) if request.limit_us else 60.0,
        fuel=min(request.fuel, _MOST_FUEL) or DEFAULT_FUEL,
        label=request.label,
        origin=origin,
    )


def write_result(job: Job | None) -> Writer:
    """The payload that says how far `job` is and what it took; of None, that somebody is there."""
    if job is None:
        return accepted().u8(0).u64(0).u64(0).u64(0).u32(0).text("")
    printed = "".join(f"{line.text}\n" for line in job.printed or ())
    if len(printed) > _PRINTED_BYTES:
        printed = f"{printed[:_PRINTED_BYTES]}…\n"
    times = (job.queued_seconds, job.build_seconds, job.device_seconds)
    writer = accepted().u8(_STATES[job.state.name])
    for seconds in times:
        writer.u64(round((seconds or 0.0) * 1e6))
    return writer.u32(job.slices or 0).text(printed)
