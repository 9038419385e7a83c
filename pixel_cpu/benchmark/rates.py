"""What a device of this host can do, in two numbers: measured once, kept for device and machine.

``$XDG_CACHE_HOME/glassbox/kernels/rates.json`` holds them.
"""

from __future__ import annotations

import contextlib
import statistics

import msgspec

from qemu_bridge.host.folders import cache_folder
from qemu_bridge.host.plain_file import read_plain, write_atomic

from ..backends.lane_c.compiler import processor_name
from ..runtime.backends import describe
from .peaks import bandwidth_roof, compute_roof, memory_footprint
from .stand import Stand
from .work import Unit

_ROUNDS = 3
_MAX_FILE_BYTES = 1 << 20


class Rates(msgspec.Struct, frozen=True):
    """Floating-point operations a second (`f32`, an fma is two), and bytes a second of arrays of `footprint` bytes together."""

    flops: float
    bytes_per_second: float
    footprint: int


def measure_rates(device: str) -> Rates:
    """Measure a device, within about a second when its kernels are compiled, and keep the rates; `DeviceError` as `Device`."""
    with Stand(device) as stand:
        footprint = memory_footprint(stand)
        roofs = compute_roof(stand, Unit.FLOP), bandwidth_roof(stand, footprint)
        for _ in range(_ROUNDS):
            for roof in roofs:
                roof.measure()
    flops, bytes_per_second = (statistics.median(roof.rates) for roof in roofs)
    rates = Rates(flops, bytes_per_second, footprint)
    path = cache_folder("kernels") / "rates.json"
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, msgspec.json.encode(_read() | {_key(device): rates}))
    return rates


def kept_rates(device: str) -> Rates | None:
    """The rates that were measured before on this machine; None where there are none. `DeviceError` as `describe`."""
    return _read().get(_key(device))


def _key(device: str) -> str:
    return f"{device}: {describe(device)}; {processor_name()}"


def _read() -> dict[str, Rates]:
    # A file that is missing or damaged costs a measurement, nothing more.
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(
            read_plain(cache_folder("kernels") / "rates.json", _MAX_FILE_BYTES), type=dict[str, Rates]
        )
    return {}
