"""The libraries in C that traces are read with, by ctypes: found or compiled once, their functions typed.

Every function returns a 64-bit number; below zero it is one of the errors of ``tcg_plugin/codec.h``. They release the GIL
while they run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.build import BuildError, find_library

from ...errors import HostError, TraceError

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

NONE = 0xFFFFFFFF
"""No block: what stands for the block before or after where there is none."""

_ERRORS = {
    -1: "it holds more than it declares",
    -2: "the words of a ring are damaged",
    -3: "a stream ends too early",
    -4: "a number in it is out of range",
    -5: "a stream continues after its end",
    -6: "the header of a ring's chunk is inconsistent",
}


def load(name: str, signatures: Mapping[str, tuple[Any, ...]]) -> ctypes.CDLL:
    """Library `name` of `tcg_plugin.build.SOURCES`, with the arguments of its functions; `HostError` if it cannot be compiled or loaded."""
    try:
        library = ctypes.CDLL(str(find_library(name)))
    except (BuildError, OSError) as error:
        raise HostError(str(error)) from None
    for function_name, arguments in signatures.items():
        function = getattr(library, function_name)
        function.argtypes, function.restype = arguments, ctypes.c_int64
    return library


def checked(result: int) -> int:
    """What a function returned; `TraceError` if that is an error."""
    if result < 0:
        raise TraceError(f"this trace is damaged: {_ERRORS.get(result, result)}; record it again")
    return int(result)


def pointer(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> int:
    """Address of `array`; `TypeError` if it has another dtype or is not contiguous."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(f"a contiguous array of {np.dtype(dtype)} is needed, not {array.dtype}")
    return array.ctypes.data


def grown(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """`array` if it has `size` items, else a larger copy, whose new items are uninitialized."""
    if len(array) >= size:
        return array
    larger = np.empty(max(size, len(array) * 3 // 2), array.dtype)
    larger[: len(array)] = array
    return larger
