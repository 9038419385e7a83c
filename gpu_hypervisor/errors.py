"""The errors of the GPU hypervisor.

They belong to the tree in `qemu_bridge.errors`::

    GlassBoxError
    ├── UsageError
    │   └── AdmissionError          a submission that is refused: why, and what would be accepted
    │       ├── QuotaError          it wants more bytes or jobs than are left
    │       ├── DeadlineError       it cannot be promised to end in time
    │       └── HandleError         a buffer that is not the tenant's
    │           └── BusyHandleError one that a job uses
    └── TenantGoneError             the tenant was closed
"""

from __future__ import annotations

from qemu_bridge.errors import GlassBoxError, UsageError


class AdmissionError(UsageError):
    """A submission that is refused."""


class QuotaError(AdmissionError):
    """More is wanted than is left; `wanted` and `left` are bytes or jobs, as the message says."""

    def __init__(self, message: str, wanted: int, left: int) -> None:
        self.wanted, self.left = wanted, left
        super().__init__(message)


class DeadlineError(AdmissionError):
    """A REALTIME job that cannot be promised; `left_seconds` of device time could be."""

    def __init__(self, message: str, left_seconds: float) -> None:
        self.left_seconds = left_seconds
        super().__init__(message)


class HandleError(AdmissionError):
    """A handle that names no buffer of the tenant."""


class BusyHandleError(HandleError):
    """A buffer that a job uses which has not ended."""


class TenantGoneError(GlassBoxError):
    """The tenant was closed, and its jobs with it."""
