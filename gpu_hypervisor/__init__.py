"""Several tenants share one device: what they submit is checked, scheduled by weight and deadline, run, and measured.

>>> from gpu_hypervisor import Hypervisor, Submission
>>> with Hypervisor() as hypervisor, hypervisor.open_tenant("a", weight=60) as tenant:
...     tenant.submit(Submission(text, lanes=n, arguments={"a": 2.0, "x": x, "y": y})).result()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import BufferSlice, Hypervisor, Job, JobState, Stats, Submission, Tenant, TenantUsage
    from .scheduler import JobClass, Policy

__all__ = [
    "BufferSlice",
    "Hypervisor",
    "Job",
    "JobClass",
    "JobState",
    "Policy",
    "Stats",
    "Submission",
    "Tenant",
    "TenantUsage",
]

_PLACES = {"JobClass": "scheduler", "Policy": "scheduler"}
"""Where names are; others are in `engine`."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module's attribute
    # Loaded when named: the scheduler and its simulation need no device.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_PLACES.get(name, 'engine')}", __name__), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
