"""The matrix product: texts in the primitives language that differ in their tiles, of which the tuner takes the best for a device.

>>> c = matmul(a, b, device="cpu")
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..errors import LaunchError
from ..runtime.device import Device
from ..runtime.program import Kernel, loads, shared_device
from ..runtime.tuner import Candidate, Problem, tune

SMALL = 512
"""Rows, columns and depth of the problem that candidates are measured on, at most."""
ROUNDS = 3
"""Measured launches of each candidate."""
TOLERANCE = 1e-4
"""Error of a candidate, relative to the largest element, above which it is refused."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Tile:
    """A block makes `rows` x `columns` elements of the product, `depth` deep at a time; it has `down` threads for each column.

    A thread makes `tall` x `wide` elements at a time, which it holds in registers: as many passes follow as the rows need. A block
    does so for `parts` tiles of a, one below the other, with the same tile of b.
    """

    rows: int
    columns: int
    depth: int
    tall: int
    wide: int = 1
    down: int = 1
    parts: int = 1

    @property
    def name(self) -> str:
        parts = f"{self.parts} of " if self.parts > 1 else ""
        return f"{parts}{self.rows}x{self.columns}x{self.depth}, {self.tall}x{self.wide} of {self.threads} threads"

    @property
    def across(self) -> int:
        """Threads beside each other."""
        return self.columns // self.wide

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.across * self.down

    @property
    def passes(self) -> int:
        """How often a thread makes its elements, one below the other."""
        return self.rows // (self.tall * self.down)


TILES = {
    # A lane of a vector for each column, and as many sums as there are registers for.
    "cpu": (
        Tile(64, 64, 64, 4),
        Tile(64, 64, 64, 2, parts=4),
        Tile(96, 48, 48, 4),
        Tile(96, 48, 48, 4, parts=2),
        Tile(48, 48, 48, 4, parts=8),
    ),
    # Squares for each thread, so that what is read from shared memory is used often.
    "wgpu": (
        Tile(16, 16, 16, 1, 1, 16),
        Tile(32, 32, 16, 2, 2, 16),
        Tile(64, 64, 16, 4, 4, 16),
        Tile(64, 64, 8, 8, 4, 8),
    ),
}
"""What is tried on each back end."""
ELSEWHERE = (Tile(32, 32, 32, 4),)
"""What runs on the others."""


def matmul(a: Array, b: Array, *, device: str | Device = "cpu") -> Array:
    """The product of two matrices of float32, as a new matrix in the device's memory.

    The first product of its size on a device measures a few kernels on a small problem and keeps the best, in the user's cache.
    Raises `LaunchError` for arrays that are no matrices of float32, or do not fit each other.
    """
    for name, given in (("a", a), ("b", b)):
        if not isinstance(given, np.ndarray) or given.ndim != 2 or given.dtype != np.float32:
            raise LaunchError(f"matmul: {name} is no matrix of float32; convert it with .astype(np.float32)")
    (m, k), (rows, n) = a.shape, b.shape
    if k != rows:
        raise LaunchError(f"matmul: {m} x {k} and {rows} x {n} do not fit: the rows of b are the columns of a")
    where = device if isinstance(device, Device) else shared_device(device)
    c = where.zeros(m * n, np.float32)
    if c.size and k:
        tile = chosen(where, m, n, k)
        kernel(tile).launch(lanes(tile, m, n), device=where, m=m, n=n, k=k, a=a.ravel(), b=b.ravel(), c=c)
    return c.reshape(m, n)


_kept: weakref.WeakKeyDictionary[Device, dict[tuple[int, ...], Tile]] = weakref.WeakKeyDictionary()


def chosen(device: Device, m: int, n: int, k: int) -> Tile:
    """The best tile for m x k times k x n on a device, measured at the first call for such a size."""
    small = tuple(min(1 << (size - 1).bit_length(), SMALL) for size in (m, n, k))
    kept = _kept.setdefault(device, {})
    if small not in kept:
        kept[small] = _measured(device, *small)
    return kept[small]


def _measured(device: Device, m: int, n: int, k: int) -> Tile:
    random = np.random.default_rng(m + n + k)
    a, b = random.random((m, k), np.float32), random.random((k, n), np.float32)
    tiles = {tile.name: tile for tile in TILES.get(device.backend, ELSEWHERE)}

    def arguments(device: Device) -> dict[str, Any]:
        return {"a": device.array(a), "b": device.array(b), "c": device.zeros(m * n, "f4"), "m": m, "n": n, "k": k}

    candidates = [Candidate(name, kernel(tile), lanes(tile, m, n)) for name, tile in tiles.items()]
    expected = {"c": (a.astype(np.float64) @ b).ravel()}
    problem = Problem(arguments, expected, TOLERANCE)
    found = tune("matmul", candidates, problem, device, rounds=ROUNDS, shape=f"{m}x{n}x{k}")
    return tiles[found.best.name]


def lanes(tile: Tile, m: int, n: int) -> int:
    """Threads of the launch that makes m x n elements."""
    return -(-m // (tile.rows * tile.parts)) * -(-n // tile.columns) * tile.threads


@cache
def kernel(tile: Tile) -> Kernel:
    """The kernel that multiplies with a tile."""
    return loads(text(tile), file="matmul.gpk").kernel()


def text(tile: Tile) -> str:
    """The kernel's text for a tile; that for ``Tile(64, 64, 64, 4)`` is ``matmul.gpk``."""
    lines = [
        "# c = a x b, for a of m x k elements, b of k x n and c of m x n, row by row; c is 0 at first. A block makes a part of "
        f"{tile.rows * tile.parts} x",
        f"# {tile.columns} elements from tiles of a and b in shared memory; a thread makes {tile.tall} x {tile.wide} at a time.",
        "",
        "GPU_KERNEL matmul",
        *_indented(1, ["GPU_PARAM a float[]", "GPU_PARAM b float[]", "GPU_PARAM c float[]"]),
        *_indented(1, ["GPU_PARAM m int", "GPU_PARAM n int", "GPU_PARAM k int"]),
        f"    GPU_SHARED left float[{tile.rows} * {tile.depth}]",
        f"    GPU_SHARED right float[{tile.depth} * {tile.columns}]",
        f"    GPU_THREADS {tile.threads}",
        "    # What lies outside of a and b is selected away, what lies outside of c is not written.",
        "    GPU_BOUNDS clamp",
        "    GPU_THREAD_CODE:",
        *_indented(2, _body(tile)),
        "GPU_END",
    ]
    return "\n".join(lines) + "\n"


def _indented(level: int, lines: list[str]) -> list[str]:
    return ["    " * level + line for line in lines]


def _body(tile: Tile) -> list[str]:
    cells = [(r, c) for r in range(tile.tall) for c in range(tile.wide)]
    start = [f"CALCULATE t{r}_{c} = 0.0" for r, c in cells]
    inner = [f"LOAD right[i * {tile.columns} + {_plus('x', c * tile.across)}] -> right{c}" for c in range(tile.wide)]
    inner += [f"LOAD left[{_plus('low', r * tile.depth)} + i] -> left{r}" for r in range(tile.tall)]
    inner += [f"CALCULATE t{r}_{c} = fma(left{r}, right{c}, t{r}_{c})" for r, c in cells]
    end = []
    for c in range(tile.wide):
        end.append(f"IF {_plus('first + x', c * tile.across)} < n:")
        for r in range(tile.tall):
            place = f"c[({_plus('top + row', r)}) * n + {_plus('first + x', c * tile.across)}]"
            before = f"{place} + " if tile.passes > 1 else ""
            end.append(f"    CALCULATE {place} = {before}t{r}_{c}")
    height = f"(p * {tile.down} + y) * {tile.tall}" if tile.down > 1 else f"p * {tile.tall}"
    if tile.passes == 1:
        height = f"y * {tile.tall}" if tile.down > 1 else "0"
    top = [f"CALCULATE row = {height}", f"CALCULATE low = row * {tile.depth}"]
    multiply = [f"FOR i IN 0..{tile.depth}:", *_indented(1, inner)]
    left = _copy("left", "a", ("top", "m", tile.rows), ("deep", "k", tile.depth), tile.threads)
    right = _copy("right", "b", ("deep", "k", tile.depth), ("first", "n", tile.columns), tile.threads)
    deep, sync = f"FOR deep IN 0..k STEP {tile.depth}:", "SYNC_THREADS"
    turns = [f"FOR p IN 0..{tile.passes}:", *_indented(1, [*top, *start, *multiply, *end])]
    if tile.passes == 1:
        ways = [*top, *start, deep, *_indented(1, [*left, *right, sync, *multiply, sync]), *end]
    elif tile.parts == 1:
        ways = [deep, *_indented(1, [*left, *right, sync, *turns, sync])]
    else:
        parts = f"FOR top IN above..min(m, above + {tile.rows * tile.parts}) STEP {tile.rows}:"
        ways = [deep, *_indented(1, [*right, parts, *_indented(1, [*left, sync, *turns, sync])])]
    return [
        "LOCAL_ID -> l",
        "BLOCK_ID -> block",
        *(
            [f"CALCULATE x = l % {tile.across}", f"CALCULATE y = l / {tile.across}"]
            if tile.down > 1
            else ["CALCULATE x = l"]
        ),
        f"CALCULATE blocks = (n + {tile.columns - 1}) / {tile.columns}",
        f"CALCULATE {'top' if tile.parts == 1 else 'above'} = block / blocks * {tile.rows * tile.parts}",
        f"CALCULATE first = block % blocks * {tile.columns}",
        *ways,
    ]


def _copy(tile: str, source: str, rows: tuple[str, str, int], columns: tuple[str, str, int], threads: int) -> list[str]:
    """Copy a part of a matrix to shared memory. `rows` and `columns` have where it begins, where the matrix ends, and its size."""
    (top, bottom, height), (first, last, width) = rows, columns
    is_line = threads == width
    row, column = ("line", "l") if is_line else (f"e / {width}", f"e % {width}")
    value = (
        f"select({top} + {row} < {bottom} and {first} + {column} < {last}, "
        f"{source}[({top} + {row}) * {last} + {first} + {column}], 0.0)"
    )
    if is_line:
        return [f"FOR line IN 0..{height}:", f"    STORE {value} -> {tile}[line * {width} + l]"]
    return [f"FOR e IN l..{height * width} STEP {threads}:", f"    STORE {value} -> {tile}[e]"]


def _plus(name: str, number: int) -> str:
    return f"{name} + {number}" if number else name
