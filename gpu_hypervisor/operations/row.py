"""A row of the table: a function, its path over HTTP and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qemu_bridge.wire.operations import Cost, Operation, Permission


@dataclass(frozen=True, slots=True)
class GpuOperation:
    """A row: `row` has name, arguments, result, permission and cost; `run` does it; `is_tool`: language models have it too."""

    row: Operation[..., Any]
    path: str
    run: Callable[..., Any]
    is_tool: bool


def adds_to(rows: list[GpuOperation]) -> Callable[..., Callable[[Any], Any]]:
    """A decorator that makes a function a row of `rows`."""

    def operation(permission: Permission, cost: Cost, path: str, *, is_tool: bool = False) -> Callable[[Any], Any]:
        def add(function: Any) -> Any:  # noqa: ANN401  # a function of any signature
            rows.append(GpuOperation(Operation(function, permission, cost, ""), path, function, is_tool))
            return function

        return add

    return operation
