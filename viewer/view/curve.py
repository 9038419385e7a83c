"""The 3D Hilbert curve: Skilling's transform between a byte's place in RAM and its place in the cube.

Source: J. Skilling, "Programming the Hilbert curve", AIP Conference Proceedings 707, 381 (2004). This is
the reference that the compute shader (``shaders/skilling.wgsl``) must equal voxel for voxel.

Conventions. A curve of *order* n fills a cube of 2^n voxels a side with 8^n indices. Bit triple j of the
index (bits 3j+2, 3j+1, 3j) is Skilling's transposed form with the highest of the three bits for x, the
next for y, the lowest for z. Index 0 is at (0, 0, 0) and the last index at (2^n - 1, 0, 0). Arrays of
voxels are stored with x fastest: ``voxels[z, y, x]``, flat place x + 2^n (y + 2^n z).

>>> to_xyz(np.arange(8), 1).tolist()
[[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1], [1, 0, 0]]

What the viewer builds on: consecutive indices are face neighbours; an aligned run of 8^k indices is a
cube of 2^k a side; and that cube's place is ``to_xyz(index >> 3k, n - k)``, so pages (8^4 bytes) are
placed by the same transform as bytes, four orders lower.

Inside every page the curve has one shape, turned in one of 24 ways (`page_states`): six orders of the axes
times the four mirrorings of an even number of axes. So one table of 4096 places (`brick_table`) and a state
a page say where each of its bytes is (`brick_offsets`), and pages can stay raw in memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import UsageError

MAX_ORDER = 16
PAGE_ORDER = 4
"""A page of 4096 = 8^4 bytes is a brick of 2^4 voxels a side."""

Coordinates = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.uint64]


def order_for(count: int) -> int:
    """The lowest order whose cube holds `count` voxels: 128 Mi voxels need order 9."""
    order = 0
    while 1 << (3 * order) < count:
        order += 1
    return order


def _validate_order(order: int) -> None:
    if not 1 <= order <= MAX_ORDER:
        raise UsageError(f"a curve of order {order} is not supported; use 1 to {MAX_ORDER}")


def to_xyz(index: npt.ArrayLike, order: int) -> Coordinates:
    """Coordinates of curve indices: `index` of any shape gives `uint32` of that shape + (3,), last axis x, y, z.

    Raises `UsageError` where an index is not below 8^order.
    """
    _validate_order(order)
    given = np.asarray(index)
    flat = given.astype(np.uint64)
    if given.size and (int(given.max()) >> (3 * order) or int(given.min()) < 0):
        raise UsageError(f"an index of {int(given.max())} is outside a curve of order {order}; use a higher order")
    axes = _deinterleave(flat, order)
    # Gray decode by H ^ (H / 2).
    carried = axes[2] >> np.uint32(1)
    axes[2] ^= axes[1]
    axes[1] ^= axes[0]
    axes[0] ^= carried
    for bit in range(1, order):
        for axis in (2, 1, 0):
            _undo(axes, axis, bit)
    return np.stack(axes, axis=-1)


def to_index(xyz: npt.ArrayLike, order: int) -> Indices:
    """Curve indices of coordinates: `xyz` of shape (..., 3) gives `uint64` of shape (...).

    Raises `UsageError` where a coordinate is not below 2^order.
    """
    _validate_order(order)
    given = np.asarray(xyz)
    if given.size and (int(given.max()) >> order or int(given.min()) < 0):
        raise UsageError(f"a coordinate of {int(given.max())} is outside a cube of order {order}; use a higher order")
    axes = [given[..., axis].astype(np.uint32) for axis in range(3)]
    for bit in range(order - 1, 0, -1):
        for axis in (0, 1, 2):
            _undo(axes, axis, bit)
    # Gray encode.
    axes[1] ^= axes[0]
    axes[2] ^= axes[1]
    flips = np.zeros_like(axes[0])
    for bit in range(order - 1, 0, -1):
        low_bits = np.uint32((1 << bit) - 1)
        flips ^= np.where(axes[2] >> np.uint32(bit) & np.uint32(1), low_bits, np.uint32(0))
    return _interleave([axis ^ flips for axis in axes], order)


def _undo(axes: list[Coordinates], axis: int, bit: int) -> None:
    """One step of Skilling's excess work: where the bit is set invert x's lower bits, else exchange them with x's."""
    low_bits = np.uint32((1 << bit) - 1)
    is_set = (axes[axis] >> np.uint32(bit) & np.uint32(1)).astype(np.bool_)
    exchanged = np.where(is_set, np.uint32(0), (axes[0] ^ axes[axis]) & low_bits)
    axes[0] ^= np.where(is_set, low_bits, np.uint32(0))
    axes[0] ^= exchanged
    axes[axis] ^= exchanged


def _deinterleave(index: Indices, order: int) -> list[Coordinates]:
    axes = [np.zeros(index.shape, np.uint32) for _ in range(3)]
    for bit in range(order):
        for axis in range(3):
            source = np.uint64(3 * bit + 2 - axis)
            axes[axis] |= (index >> source & np.uint64(1)).astype(np.uint32) << np.uint32(bit)
    return axes


def _interleave(axes: list[Coordinates], order: int) -> Indices:
    index = np.zeros(axes[0].shape, np.uint64)
    for bit in range(order):
        for axis in range(3):
            index |= (axes[axis] >> np.uint32(bit) & np.uint32(1)).astype(np.uint64) << np.uint64(3 * bit + 2 - axis)
    return index


def page_states(pages: npt.ArrayLike, order: int) -> npt.NDArray[np.uint8]:
    """How the curve is turned inside pages of a curve of pages of `order` (four less than that of the bytes).

    A state holds three fields: bits 0 and 1 mirror x and y, and where they differ z as well; bits 2 and 3 rotate
    the axes that often (x y z to y z x); bit 4 then exchanges y and z. `brick_offsets` applies it.

    Three of a page's eight children tell: the curve enters at the first, leaves at the last, which is from the
    first along the table's x axis, and the second is from the first along its z axis.
    """
    first = np.asarray(pages).astype(np.uint64) * np.uint64(8)
    entry, second, last = (to_xyz(first + np.uint64(child), order + 1) & np.uint32(1) for child in (0, 1, 7))
    x_axis = np.argmax(entry ^ last, axis=-1)
    z_axis = np.argmax(entry ^ second, axis=-1)
    is_swapped = (x_axis + 1) % 3 == z_axis
    states = entry[..., 0] | entry[..., 1] << np.uint32(1) | x_axis << 2 | is_swapped << 4
    return np.asarray(states, np.uint8)


def brick_table() -> npt.NDArray[np.uint16]:
    """Place along the curve of each voxel of a brick in state 0: `uint16` of shape (16, 16, 16), indexed [z, y, x]."""
    z, y, x = np.meshgrid(*[np.arange(16)] * 3, indexing="ij")
    return to_index(np.stack([x, y, z], axis=-1), PAGE_ORDER).astype(np.uint16)


def brick_offsets(xyz: npt.ArrayLike, states: npt.ArrayLike) -> npt.NDArray[np.uint16]:
    """Offsets in their pages of the voxels `xyz` (shape (..., 3), each 0 to 15) of bricks in `states` (shape (...))."""
    state = np.asarray(states).astype(np.int64)[..., None]
    mirrored = np.concatenate([state, state >> 1, state ^ state >> 1], axis=-1) & 1
    turned = np.asarray(xyz).astype(np.int64) ^ 15 * mirrored
    axes = (np.arange(3) + (state >> 2 & 3)) % 3
    axes = np.where(state >> 4 & 1, axes[..., [0, 2, 1]], axes)
    x, y, z = np.moveaxis(np.take_along_axis(turned, axes, axis=-1), -1, 0)
    return np.asarray(brick_table()[z, y, x])


def voxelise(values: npt.NDArray[np.uint8], order: int) -> npt.NDArray[np.uint8]:
    """The dense cube of `values` laid along the curve: `uint8` of shape (side, side, side), indexed [z, y, x].

    The reference for the compute shader. Bytes past the end of `values` are 0.
    """
    side = 1 << order
    cube = np.zeros((side, side, side), np.uint8)
    step = 1 << 20  # a million at a time, so that the coordinates of a large cube need little memory
    for start in range(0, min(len(values), side**3), step):
        part = values[start : start + step]
        xyz = to_xyz(np.arange(start, start + len(part), dtype=np.uint64), order)
        cube[xyz[:, 2], xyz[:, 1], xyz[:, 0]] = part
    return cube
