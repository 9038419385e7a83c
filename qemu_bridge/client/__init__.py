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

        AsyncClient.connect_elsewhere = staticmethod(_connect_elsewhere_asynchronously)
        return AsyncClient
    raise AttributeError(name)


def _connect_elsewhere(name: str) -> Client:
    # Loaded for a machine on another host only: keys, ssh, a mirror of RAM.
    from .remote import RemoteClient

    return RemoteClient.connect(name)


def _connect_elsewhere_asynchronously(name: str) -> AsyncClient:
    from .asynchronous_remote import AsyncRemoteClient

    return AsyncRemoteClient.connect(name)


Client.connect_elsewhere = staticmethod(_connect_elsewhere)
