"""What can be asked of the GPU service and of the software GPU, written once: a row is a function, its path over HTTP and what it may do.

From a row come the route of `glassbox serve` with its description, and the tool of `glassbox mcp`. Those that ask the service raise
`HostError` where none runs.

>>> find_operation("stats").run()
"""

from __future__ import annotations

from qemu_bridge.errors import UsageError

from .row import GpuOperation as GpuOperation


def iter_operations() -> tuple[GpuOperation, ...]:
    """All rows."""
    # Imported here: with what measures kernels a gateway would start half a second later.
    from .shared import SHARED
    from .software import SOFTWARE

    return (*SHARED, *SOFTWARE)


def find_operation(name: str) -> GpuOperation:
    """The row called `name`; `UsageError` where there is none."""
    rows = {each.row.name: each for each in iter_operations()}
    if name not in rows:
        raise UsageError(f"there is no GPU operation {name[:50]!r}; there are {', '.join(rows)}")
    return rows[name]
