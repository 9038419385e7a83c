"""What `gpu top` shows."""

from __future__ import annotations

import msgspec

from ..scheduler import JobClass


class TenantUsage(msgspec.Struct, frozen=True):
    """What a tenant has, had and was refused. `share` is its part of the device time of all tenants since it was opened, `asked` that of its weight.

    Queue times are milliseconds from ready to first slice, of its last jobs.
    """

    name: str
    weight: float
    asked: float
    share: float
    classes: tuple[JobClass, ...]
    building: int
    queued: int
    running: int
    ended: int
    failed: int
    refused: int
    device_seconds: float
    queue_p50_ms: float
    queue_p99_ms: float
    memory_bytes: int
    memory_limit_bytes: int
    buffers: int
    worker_pid: int | None
    restarts: int
    labels: tuple[str, ...] = ()


class ClassStats(msgspec.Struct, frozen=True):
    """A class of jobs: its share of contended device time lately."""

    name: JobClass
    share: float
    jobs: int


class DeviceStats(msgspec.Struct, frozen=True):
    """One of the devices: `jobs` that wait or run there; a drained one takes none."""

    name: str
    busy_seconds: float
    jobs: int
    is_drained: bool


class Stats(msgspec.Struct, frozen=True):
    """The device and all tenants. Switches are the times, in microseconds, from the end of a slice to the beginning of the next one."""

    device: str
    uptime_seconds: float
    busy_seconds: float
    slices: int
    stops: int
    """Slices whose worker had to be stopped."""
    switch_p50_us: float
    switch_p99_us: float
    memory_bytes: int
    memory_limit_bytes: int
    evictions: int
    restores: int
    tenants: tuple[TenantUsage, ...]
    classes: tuple[ClassStats, ...]
    devices: tuple[DeviceStats, ...] = ()
