"""Dumps read by Volatility, which knows the formats and was not written here."""

from __future__ import annotations

import importlib

from dump_files import RAM
from volatility3.framework import contexts
from volatility3.framework.layers.physical import BufferDataLayer


def read_by_volatility(layer: str, content: bytes) -> dict[int, bytes]:
    """What Volatility's `layer` finds at the addresses of `dump_files.RAM` in a file of `content`."""
    context = contexts.Context()
    context.add_layer(BufferDataLayer(context, "file", "file", content))
    context.config["dump.base_layer"] = "file"
    module, name = layer.split(".")
    kind = getattr(importlib.import_module(f"volatility3.framework.layers.{module}"), name)
    context.add_layer(kind(context, "dump", "dump"))
    return {start: context.layers["dump"].read(start, len(part)) for start, part in RAM.items()}
