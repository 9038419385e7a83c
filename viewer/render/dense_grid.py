"""The dense voxel grid, the oracle of the tests: guest RAM laid along the Hilbert curve, one byte a voxel.

Tests compare the sparse bricks (`viewer.render.pool`) with it, and the benchmark of the transform runs on it; nothing is
drawn from it.

A grid of order n is a cube of 2^n voxels a side. It is stored as cubes of at most 512^3 voxels (128 MiB,
what one binding holds everywhere), each its own buffer in x, y, z order, four voxels to a 32-bit word;
cubes follow each other along the curve, so RAM that fills half the curve needs half the cubes.

A coarsened voxel (`viewer.view.grid_order`) shows the *largest* of its bytes, so that one byte that is not zero stays
visible in a run of zeros.

>>> grid = VoxelGrid(device, ram_size=128 << 20)
>>> grid.order, grid.coarsening
(9, 0)
>>> grid.update(ram.view)          # the whole RAM; or grid.update(ram.view, pages) for some pages of it
32768
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.errors import GraphicsError
from qemu_bridge.memory.addresses import PAGE_SIZE

from ..view.curve import PAGE_ORDER, to_xyz
from ..view.grid_order import choose_order
from .curve_jobs import PIECE_BYTES, CurveJobs

CUBE_ORDER = 9


class VoxelGrid:
    """The grid's buffers and how they are filled.

    Attributes:
        order: the cube is 2^order voxels a side.
        coarsening: a voxel stands for 8^coarsening bytes.
        cube_order: order of one buffer's cube.
        cubes: storage buffers, along the curve.
    """

    def __init__(
        self, device: wgpu.GPUDevice, ram_size: int, order: int | None = None, jobs: CurveJobs | None = None
    ) -> None:
        """Reserve a grid for `ram_size` bytes; `GraphicsError` where the device cannot hold it, saying which order it can."""
        self.device = device
        self.ram_size = ram_size
        self.order, self.coarsening = choose_order(ram_size, order)
        self.cube_order = min(self.order, CUBE_ORDER)
        self._jobs = jobs or CurveJobs(device)
        voxels = -(-ram_size >> (3 * self.coarsening))
        count = -(-voxels >> (3 * self.cube_order))
        self._validate_fits(count)
        storage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        try:
            self.cubes = [device.create_buffer(size=1 << (3 * self.cube_order), usage=storage) for _ in range(count)]
        except wgpu.GPUError as error:
            raise GraphicsError(
                f"the graphics device has no memory for order {self.order} ({error}); use order {self.order - 1}"
            ) from None
        self._source = device.create_buffer(size=PIECE_BYTES, usage=storage)
        self._bricks = device.create_buffer(size=4 * (PIECE_BYTES // PAGE_SIZE), usage=storage)
        self._groups = [self._jobs.bind(self._source, self._bricks, cube) for cube in self.cubes]
        self._fence = device.create_buffer(size=16, usage=wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST)

    def _validate_fits(self, cube_count: int) -> None:
        limits = self.device.limits
        cube_bytes = 1 << (3 * self.cube_order)
        # The ray-marcher binds every cube and two tables.
        bindings = int(limits["max-storage-buffers-per-shader-stage"]) - 2
        if cube_bytes > int(limits["max-storage-buffer-binding-size"]) or cube_count > bindings:
            fitting = "8 or less" if cube_bytes > int(limits["max-storage-buffer-binding-size"]) else str(CUBE_ORDER)
            raise GraphicsError(
                f"a voxel grid of order {self.order} is too large for this graphics device; use order {fitting}"
            )

    @property
    def side(self) -> int:
        """Voxels along an edge of the whole cube."""
        return 1 << self.order

    @property
    def pages_per_brick(self) -> int:
        """Pages of RAM that a brick of 16^3 voxels stands for."""
        return 1 << (3 * self.coarsening)

    def update(self, ram: npt.NDArray[np.uint8], pages: npt.NDArray[np.int64] | None = None) -> int:
        """Lay the given pages of `ram` (all of it by default) into the grid; return how many bricks were filled.

        Untouched pages of a live machine should not be named: reading a hole of the RAM file through a
        mapping makes the host allocate it, and the grid holds zeros there already. `pages` are page
        numbers in the file; numbers past its end are ignored.
        """
        filled = 0
        for cube, bricks in self._for_each_piece(pages):
            self._upload(ram, bricks)
            job = (self.order, self.cube_order, self.coarsening, len(bricks))
            self._jobs.run("fill_bricks", self._groups[cube], job, len(bricks))
            filled += len(bricks)
        return filled

    def _for_each_piece(self, pages: npt.NDArray[np.int64] | None) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield (cube, ascending brick numbers) of at most one upload each, runs kept together."""
        brick_bytes = PAGE_SIZE * self.pages_per_brick
        brick_count = -(-self.ram_size // brick_bytes)
        if pages is None:
            bricks = np.arange(brick_count, dtype=np.int64)
        else:
            bricks = np.unique(np.asarray(pages, np.int64) >> (3 * self.coarsening))
            bricks = bricks[(bricks >= 0) & (bricks < brick_count)]
        shift = 3 * (self.cube_order - PAGE_ORDER)
        per_piece = PIECE_BYTES // brick_bytes
        for cube in np.unique(bricks >> shift):
            inside = bricks[bricks >> shift == cube]
            for start in range(0, len(inside), per_piece):
                yield int(cube), inside[start : start + per_piece]

    def _upload(self, ram: npt.NDArray[np.uint8], bricks: npt.NDArray[np.int64]) -> None:
        brick_bytes = PAGE_SIZE * self.pages_per_brick
        first, last = int(bricks[0]) * brick_bytes, (int(bricks[-1]) + 1) * brick_bytes
        if last - first == len(bricks) * brick_bytes and last <= self.ram_size:
            piece = ram[first:last]  # one run: the driver reads the guest's own pages, no copy here
        else:
            # Scattered pages are gathered on the host: one upload instead of one a page.
            piece = np.zeros(len(bricks) * brick_bytes, np.uint8)
            for slot, brick in enumerate(bricks.tolist()):
                part = ram[brick * brick_bytes : min((brick + 1) * brick_bytes, self.ram_size)]
                piece[slot * brick_bytes : slot * brick_bytes + len(part)] = part
        self.device.queue.write_buffer(self._source, 0, piece)
        self.device.queue.write_buffer(self._bricks, 0, bricks.astype(np.uint32))

    def wait(self) -> None:
        """Return when the device has done everything submitted so far."""
        encoder = self.device.create_command_encoder()
        encoder.copy_buffer_to_buffer(self.cubes[0], 0, self._fence, 0, 16)
        self.device.queue.submit([encoder.finish()])
        self._fence.map_sync("READ")
        self._fence.unmap()

    def read_voxels(self) -> npt.NDArray[np.uint8]:
        """The whole grid: `uint8` of shape (side, side, side) indexed [z, y, x]. For tests: it copies everything."""
        voxels = np.zeros((self.side,) * 3, np.uint8)
        edge = 1 << self.cube_order
        for number, cube in enumerate(self.cubes):
            x, y, z = (
                to_xyz(number, self.order - self.cube_order) if self.order > self.cube_order else np.zeros(3, np.uint32)
            ) * edge
            block = np.frombuffer(self.device.queue.read_buffer(cube), np.uint8).reshape(edge, edge, edge)
            voxels[z : z + edge, y : y + edge, x : x + edge] = block
        return voxels

    def measure_transform(self, size_bytes: int = 64 << 20) -> float:
        """MB/s (10^6 bytes) of the transform alone: one uploaded piece laid again and again, fenced at both ends."""
        bricks = np.arange(PIECE_BYTES // PAGE_SIZE // self.pages_per_brick, dtype=np.uint32)
        self.device.queue.write_buffer(self._bricks, 0, bricks)
        job = (self.order, self.cube_order, self.coarsening, len(bricks))
        self._jobs.run("fill_bricks", self._groups[0], job, len(bricks))
        self.wait()
        rounds = max(size_bytes // PIECE_BYTES, 1)
        start = time.perf_counter()
        for _ in range(rounds):
            self._jobs.run("fill_bricks", self._groups[0], job, len(bricks))
        self.wait()
        return rounds * PIECE_BYTES / (time.perf_counter() - start) / 1e6
