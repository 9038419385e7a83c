"""Kernels that everybody needs, in the primitives language: ``source("saxpy")`` is the text of ``saxpy.gpk``.

``matmul(a, b)`` launches the one that suits the device best.
"""

from __future__ import annotations

from pathlib import Path

from .product import matmul

__all__ = ["matmul", "names", "source"]


def names() -> list[str]:
    """The files of this package, without ``.gpk``."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.gpk"))


def source(name: str) -> str:
    """The text of one of them; `KeyError` where there is none of this name."""
    if name not in names():
        raise KeyError(f"there are no kernels {name!r}; there are {', '.join(names())}")
    return Path(__file__).with_name(f"{name}.gpk").read_text(encoding="utf-8")
