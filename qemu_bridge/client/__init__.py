"""Clients of one machine's daemon: `Client` blocks, for scripts and notebooks; `AsyncClient` is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .blocking import Client

if TYPE_CHECKING:
    from .asynchronous import AsyncClient

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module's attribute
    # Loaded when named: asyncio takes longer to load than the command line to run.
    if name == "AsyncClient":
        from .asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(name)
