"""Call stacks from the calls and returns of a trace: the Python face of ``tcg_plugin/stacks.h``, which says how.

>>> tree = StackTree()
>>> stacks = Stacks(tree)                                   # of one vCPU
>>> stacks.walk(blocks, steps, keys, events)
>>> for keys, instructions in tree.stacks(): ...            # innermost last
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import POINTER, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..file.frame import Blocks
from ..file.native import U8, U64, checked, load, pointer

NAMED = 1 << 62
"""In a key: the rest is the number of a name; else the key is an address."""
MOST_NODES = 1 << 20
"""Different stacks; beyond, new callees count for their callers."""
MOST_STACKS = 4096
"""Page-table roots of one vCPU with a stack of their own; those beyond share one."""
CALL, RETURN, IRET = 1, 2, 3
SWITCH, EXCEPTION = 0, 1

CAPACITY, THREADS = 1024, 256
EVENT = np.dtype([("at", "<u8"), ("from", "<u8"), ("key", "<u8"), ("kind", "<u4"), ("stack", "<u4")])
"""What comes before block `at`: a switch to stack `stack`, or an exception at `from`, which is in the function `key`."""

_NODE = np.dtype([("key", "<u8"), ("instructions", "<u8"), ("calls", "<u8"), ("parent", "<u4"), ("pad", "<u4")])
_ENTRY = np.dtype("V16")


class _Tree(ctypes.Structure):
    _fields_ = (
        *(("nodes", c_void_p), ("table", c_void_p)),
        *((name, c_uint64) for name in ("node_count", "node_capacity", "table_mask")),
    )


class _Stacks(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("stacks", "lengths", "aside", "aside_lengths", "aside_ages")),
        *((name, c_uint64) for name in ("stack_count", "age", "switch_key", "start", "behind")),
        ("trail", c_uint64 * 8),
        *((name, c_uint32) for name in ("trail_count", "floor", "taken", "current", "step", "is_thunk", "base", "pad")),
    )


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_mining",
        {
            "gb_stacks_child": (POINTER(_Tree), c_uint32, c_uint64),
            "gb_stacks_walk": (
                *(POINTER(_Stacks), POINTER(_Tree), c_void_p, c_void_p, c_void_p, c_uint64),
                *(c_void_p, c_void_p, c_void_p, c_uint64, c_void_p, c_uint64, c_void_p),
            ),
        },
    )


class StackTree:
    """A tree of keys with the instructions of each stack; all vCPUs share it."""

    def __init__(self, capacity: int = MOST_NODES) -> None:
        """For up to `capacity` different stacks."""
        self._nodes = np.zeros(capacity, _NODE)
        self._table = np.zeros(1 << capacity.bit_length(), np.uint32)
        self.c = _Tree(self._nodes.ctypes.data, self._table.ctypes.data, 1, capacity, len(self._table) - 1)

    def child(self, parent: int, key: int) -> int:
        """The node of `key` called from node `parent`; 0 is the root of the tree."""
        return checked(_library().gb_stacks_child(ctypes.byref(self.c), parent, key))

    def nodes(self) -> npt.NDArray[np.void]:
        """The nodes: `key`, `parent` (with a smaller number; that of the tree's root is 0), `instructions` and `calls`."""
        return self._nodes[: self.c.node_count]

    def stacks(self) -> Iterator[tuple[list[int], int]]:
        """Keys, the outermost first, and instructions of each stack in which something was executed."""
        nodes = self._nodes[: self.c.node_count]
        keys, parents = nodes["key"].tolist(), nodes["parent"].tolist()
        for node in np.flatnonzero(nodes["instructions"]).tolist():
            path, at = [], node
            while at:
                path.append(keys[at])
                at = parents[at]
            yield path[::-1], int(nodes["instructions"][node])


class Stacks:
    """The stacks of one vCPU, one for each page-table root, or for each thread once it is known what switches them."""

    def __init__(self, tree: StackTree) -> None:
        """Its nodes are those of `tree`."""
        self._tree = tree
        self._aside = (
            np.zeros((THREADS, CAPACITY), _ENTRY),
            np.zeros(THREADS, np.uint32),
            np.zeros(THREADS, np.uint64),
        )
        self._arrays: tuple[npt.NDArray[Any], ...] = (
            np.zeros((0, CAPACITY), _ENTRY),
            np.zeros(0, np.uint32),
        )
        self._bases = np.zeros(0, np.uint32)
        self._c = _Stacks()
        self._c.aside, self._c.aside_lengths, self._c.aside_ages = (array.ctypes.data for array in self._aside)

    def follow_threads(self, switch_key: int) -> None:
        """From now on the function `switch_key` returns as another thread."""
        self._c.switch_key = switch_key

    def add(self, base: int) -> int:
        """One more stack, under the node `base` of a process; returns its number, that of the last if there are too many."""
        if len(self._bases) == MOST_STACKS:
            return MOST_STACKS - 1
        self._bases = np.append(self._bases, np.uint32(base))
        if len(self._bases) > len(self._arrays[0]):
            self._arrays = tuple(
                np.concatenate((array, np.zeros((max(16, len(array)), *array.shape[1:]), array.dtype)))
                for array in self._arrays
            )
            self._c.stacks, self._c.lengths = (array.ctypes.data for array in self._arrays)
        self._c.stack_count = len(self._bases)
        return len(self._bases) - 1

    def walk(self, blocks: Blocks, steps: U8, keys: U64, events: npt.NDArray[Any]) -> None:
        """Continue with `blocks`. By number: how a block ends, and its function's key, 0 if that is its address."""
        table = blocks.table
        checked(
            _library().gb_stacks_walk(
                *(ctypes.byref(self._c), ctypes.byref(self._tree.c)),
                *(pointer(blocks.numbers, np.uint32), pointer(blocks.addresses, np.uint64)),
                *(pointer(blocks.instructions, np.uint16), len(blocks)),
                *(pointer(steps, np.uint8), pointer(table.bytes, np.uint16), pointer(keys, np.uint64), len(table)),
                *(pointer(events, EVENT), len(events), pointer(self._bases, np.uint32)),
            )
        )
