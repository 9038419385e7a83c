"""Numbers and arrays that functions of modules are called with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backends.launch import Array
from ..errors import LaunchError


def lanes_of_call(name: str, sizes: set[int], lanes: int | None) -> int:
    """The lanes of a call whose arrays are for so many: as many as is said, or as they agree on, or one."""
    if lanes is not None:
        return lanes
    if len(sizes) > 1:
        raise LaunchError(f"{name}: the arrays have different lengths: {sorted(sizes)}; give an element for each lane")
    return sizes.pop() if sizes else 1


def sizes_of(arguments: Iterable[Any]) -> set[int]:
    """The lanes that each array among arguments has an element for."""
    return {len(each) for each in arguments if isinstance(each, (np.ndarray, list, tuple)) and np.ndim(each) == 1}


def elements(value: Any, dtype: np.dtype[Any], what: str) -> Array:  # noqa: ANN401  # what the caller gave
    """Numbers as a type; integers modulo its width."""
    found = np.asarray(value)
    if found.dtype.kind not in "iufb" or (dtype.kind == "i" and found.dtype.kind == "f") or found.ndim > 1:
        raise LaunchError(f"{what} is {dtype}, a number or an array of one dimension, which {value!r} is not")
    if dtype.kind == "i" and found.ndim == 0:
        bits = dtype.itemsize * 8
        number = int(found)
        if not -(1 << (bits - 1)) <= number < 1 << bits:
            raise LaunchError(f"{what} is {dtype}, which does not hold {number}")
    return found.astype(dtype)
