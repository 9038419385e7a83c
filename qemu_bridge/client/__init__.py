"""Clients of one machine's daemon: `Client` blocks, for scripts, notebooks and the command line."""

from .blocking import Client

__all__ = ["Client"]
