"""Tools about the shared GPU: a row each of the table in `gpu_hypervisor.operations` that is for models, as ``gpu_NAME``.

A model sees the load (`gpu_workloads`, `gpu_jobs`, `gpu_why`) and may suggest weights and classes (`gpu_suggest`) within bounds that the
owner of the service set. It decides nothing: the scheduler asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gpu_hypervisor.operations.row import GpuOperation
from gpu_hypervisor.operations.shared import SHARED

from ...errors import UsageError
from ...wire.json_text import encode_json
from ...wire.messages import decode_arguments
from ...wire.operations import Permission
from .machines import Machines
from .pages import cut_to_page
from .tools import Arguments, Tool, clean, schema_of, take_page, to_builtins


def make_gpu_tools(allowed: Iterable[Permission]) -> dict[str, Tool]:
    """The tools whose permission is `allowed`, by name."""
    permissions = frozenset(allowed)
    rows = [each for each in SHARED if each.is_tool and each.row.permission in permissions]
    return {tool.name: tool for tool in map(_tool, rows)}


def _tool(operation: GpuOperation) -> Tool:
    row = operation.row
    return Tool(
        f"gpu_{row.name}",
        clean(row.doc),
        schema_of(msgspec.json.schema(row.arguments), has_machine=False),
        row.permission,
        lambda machines, arguments: _run(operation, machines, arguments),
    )


def _run(operation: GpuOperation, machines: Machines, arguments: Arguments) -> dict[str, Any]:
    _, offset, limit, own = take_page(arguments)
    known = operation.row.arguments.__struct_fields__
    if unknown := [name for name in own if name not in known]:
        raise UsageError(
            f"gpu_{operation.row.name} takes no {', '.join(unknown)}; it takes {', '.join(known) or 'nothing'}"
        )
    return cut_to_page(to_builtins(operation.run(**decode_arguments(operation.row, encode_json(own)))), offset, limit)
