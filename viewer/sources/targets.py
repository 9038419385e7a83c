"""The memory of a target, as pages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire.records import TargetMemory

from .source import Source


def pages_of(memory: TargetMemory, page_count: int) -> npt.NDArray[np.int64]:
    """The pages of a target's ranges that the RAM file has, ascending, each once."""
    runs = [
        np.arange(each.ram_offset >> PAGE_SHIFT, min((each.ram_offset + each.size - 1 >> PAGE_SHIFT) + 1, page_count))
        for each in memory.ranges
        if each.size > 0
    ]
    return np.unique(np.concatenate(runs)).astype(np.int64) if runs else np.zeros(0, np.int64)


def find_pages(source: Source, target: str, page_count: int) -> npt.NDArray[np.int64]:
    """The pages of `target` in the machine of `source`; `UsageError` for a wrong target, or where there is no machine to ask."""
    if source.connect is None:
        raise UsageError(f"nobody knows where {target} is; open a machine or a capture")
    with source.connect() as client:
        return pages_of(client.resolve(target).value, page_count)
