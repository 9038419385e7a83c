"""What a tenant submits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from pixel_cpu.backends.launch import DEFAULT_FUEL
from pixel_cpu.runtime.device import DEFAULT_SECONDS

from ..errors import AdmissionError
from ..scheduler import JobClass

MAX_TEXT_BYTES = 4 << 20
"""Of a kernel's text."""
LANGUAGES = ("gpk", "ir")


@dataclass(frozen=True, slots=True)
class BufferSlice:
    """A part of a buffer of `Tenant.allocate`, as bytes; the kernel sees it as its parameter's type. Without a size: to the end."""

    handle: int
    offset: int = 0
    size_bytes: int | None = None


class Submitter(msgspec.Struct, frozen=True):
    """A process that submits: of a guest, as its RAM says, or of this host."""

    pid: int
    name: str


@dataclass(slots=True, eq=False)
class Origin:
    """Where a submission comes from, as the host knows it: a session of a guest's port, or number 0, a connection of this host.

    `processes` are those that have the port open, once that is known; `is_open`: the session has not ended.
    """

    session: int = 0
    processes: tuple[Submitter, ...] = ()
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Submission:
    """A launch of a kernel, as `pixel_cpu.Kernel.launch` takes it, and what it wants of the scheduler.

    `arguments` are by the kernel's names: numbers for scalars, for buffers arrays or a `BufferSlice`. Arrays that lie in a region which the
    tenant gave (`Tenant.adopt`) are used in place; others are copied in, and back when the job is done.

    `deadline_s` counts from the submission on; `expected_s` is the device time that the submitter thinks it takes; `seconds` is the device
    time that it may take. `label` is what the submitter calls itself, `origin` what the host knows of it.
    """

    text: str
    language: str = "gpk"
    kernel: str | None = None
    lanes: int | None = None
    blocks: int | None = None
    threads: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    job_class: JobClass | None = None
    deadline_s: float | None = None
    expected_s: float | None = None
    seconds: float = DEFAULT_SECONDS
    fuel: int = DEFAULT_FUEL
    label: str = ""
    origin: Origin | None = None

    def check(self) -> None:
        """Raise `AdmissionError` for what cannot be, as far as that is seen without the kernel."""
        if self.language not in LANGUAGES:
            raise AdmissionError(f"{self.language!r} is no language of kernels; they are {' and '.join(LANGUAGES)}")
        if len(self.text.encode(errors="replace")) > MAX_TEXT_BYTES:
            raise AdmissionError(f"the kernel's text has more than {MAX_TEXT_BYTES >> 20} MiB, which no kernel needs")
        if (self.lanes is None) == (self.blocks is None):
            raise AdmissionError("a job needs lanes, or blocks with threads")
        if (self.lanes if self.lanes is not None else self.blocks or 0) < 1:
            raise AdmissionError("a job has one lane or more")
        for name, value in (
            ("deadline_s", self.deadline_s),
            ("expected_s", self.expected_s),
            ("seconds", self.seconds),
        ):
            if value is not None and not (0 < value < math.inf):
                raise AdmissionError(f"{name} is a time above 0, not {value:g}")
        if self.job_class is JobClass.REALTIME and self.deadline_s is None:
            raise AdmissionError("a REALTIME job needs a deadline; give deadline_s, or another class")
        for name, value in self.arguments.items():
            is_array = isinstance(value, np.ndarray)
            if is_array and not (value.ndim == 1 and value.flags.c_contiguous and value.flags.writeable):
                raise AdmissionError(f"{name} needs a writable, contiguous array of one dimension")
            if not is_array and not isinstance(value, (bool, int, float, np.generic, BufferSlice)):
                raise AdmissionError(f"{name} is a number, an array or a BufferSlice, not {type(value).__name__}")
