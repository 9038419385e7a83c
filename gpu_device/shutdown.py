"""GPU objects end in order, before the interpreter does.

A GPU object is released when Python deletes it. While a program runs, references keep the order right; at its end Python takes
modules and cycles apart in any order, and releases a queue after its device, which Mesa's driver answers with a segmentation fault.
"""

from __future__ import annotations

import atexit
import gc
from typing import Any

import wgpu

_LAST = (wgpu.GPUQueue, wgpu.GPUDevice, wgpu.GPUAdapter)
"""What others depend on, in the order of release; a surface comes first, everything that a device made between them."""
_KINDS = (wgpu.GPUCanvasContext, wgpu.classes.GPUObjectBase, wgpu.GPUAdapter)


def release_all() -> None:
    """Release each GPU object of this process, whoever holds it: surfaces, what devices made, queues, devices, adapters.

    None of them works afterwards, and deleting one releases nothing again. Python calls this at its exit.
    """
    # By its type: a weak proxy answers for what it stands for, and raises where that is gone.
    alive = [found for found in gc.get_objects() if issubclass(type(found), _KINDS)]
    for found in sorted(alive, key=_rank):
        found._release()  # what deleting it would do; WebGPU has no word for it


def _rank(found: Any) -> int:  # noqa: ANN401  # wgpu has no types
    if isinstance(found, wgpu.GPUCanvasContext):
        return 0
    return next((2 + place for place, kind in enumerate(_LAST) if isinstance(found, kind)), 1)


atexit.register(release_all)
