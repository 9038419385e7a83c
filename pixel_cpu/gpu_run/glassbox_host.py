"""WASI and the module ``glassbox`` in one host: what lanes record goes to their standard error, in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UsageError
from ..frontends.wasm.module import Kind, Module
from ..lane_host.glassbox import PREFIX, Glassbox
from ..runtime.printed import STDERR
from ..runtime.rounds import Reply, Request
from ..wasi import Wasi

SHARED_CELLS = 4096
"""Numbers of i64 that all lanes share for atomic operations."""


def uses_glassbox(module: Module) -> bool:
    """Whether a module imports from ``glassbox``."""
    return any(f"{each.module}." == PREFIX for each in module.imported(Kind.FUNCTION))


def check_one_wave(lanes: int, most: int) -> None:
    """Raise `UsageError` where lanes that know of each other would not run at once, `most` of which may."""
    if lanes > most:
        raise UsageError(
            f"the program imports glassbox, so that all of its lanes must run at once, and {most:,} of {lanes:,} fit; "
            "use fewer --lanes, fewer --pages, or more --memory"
        )


class GlassboxWasi(Wasi):
    """Serves both; its sink gets what lanes print and what they record."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # those of `Wasi`
        super().__init__(*arguments, **options)
        self.glassbox = Glassbox(shared=SHARED_CELLS)

    def serve(self, request: Request) -> Reply:
        """Answer all lanes of a request."""
        if not request.name.startswith(PREFIX):
            return super().serve(request)
        reply = self.glassbox.serve(request)
        records = self.glassbox.records
        if records:
            texts = [
                (each.text if each.value is None else f"{each.text} = {each.value}").encode() + b"\n"
                for each in records
            ]
            lengths = np.array([len(each) for each in texts], np.int64)
            lanes = np.array([each.lane for each in records], np.int64)
            self.sink.write(STDERR, lanes, lengths, np.frombuffer(b"".join(texts), np.uint8))
            records.clear()
        return reply
