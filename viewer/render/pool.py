"""Sparse bricks: RAM as raw pages on the graphics device, in file order, so that an update is a copy.

A page is a brick of 16^3 voxels. Its bytes stay as they are in RAM, and the page number is its place in the
pool: there is nothing to allocate. Where a page's brick is and how the curve is turned inside it stands in
`slots`, written once by the Skilling compute shader; the shader that draws looks a byte up through the page's
state and one table of 4096 places (`viewer.view.curve`, ``shaders/bricks.wgsl``). Above the pages stands a pyramid
of 8:1 levels (``shaders/pyramid.wgsl``): 588 bytes a page, from which the far and the empty is read.

A binding holds 128 MiB on many devices, so pool and pyramid are split into segments of a power of two of
pages, a binding each. RAM of more than 1 GiB is coarsened: a voxel then stands for 8^k consecutive bytes and
shows the largest of them.

>>> pool = PagePool(device, ram_size=128 << 20)
>>> pool.order, pool.coarsening
(9, 0)
>>> pool.update(ram.view)            # all of RAM; or pool.update(ram.view, pages) for some pages of it
32768
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.errors import GraphicsError
from qemu_bridge.memory.addresses import PAGE_SIZE

from ..view.curve import PAGE_ORDER, brick_table
from ..view.grid_order import MAX_COARSENING, MIN_ORDER, choose_order, page_count
from .curve_jobs import PIECE_BYTES, SHADERS, CurveJobs

DIRECT_PAGES = 16
"""Runs of as many pages are written straight from RAM; shorter ones are gathered, as a call costs as much as copying them."""
_OTHER_BINDINGS = 4
_STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST


def find_runs(pages: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """(first, count) of each run of consecutive numbers in ascending `pages`."""
    if not len(pages):
        return []
    starts = np.flatnonzero(np.diff(pages, prepend=pages[0] - 2) != 1)
    counts = np.diff(np.append(starts, len(pages)))
    return list(zip(pages[starts].tolist(), counts.tolist(), strict=True))


def coarsen(values: npt.NDArray[np.uint8], coarsening: int) -> npt.NDArray[np.uint8]:
    """The largest of every 8^coarsening bytes; their number is a multiple of that."""
    for _ in range(3 * coarsening):
        values = np.maximum(values[::2], values[1::2])
    return values


def pyramid_words(coarsening: int) -> int:
    """32-bit words of one page's pyramid: 147 for whole pages."""
    return sum(max(8 ** (4 - level) // 4, 1) for level in range(coarsening + 1, 5))


class PagePool:
    """The pool's buffers and how they are filled.

    Attributes:
        order: the cube is 2^order voxels a side.
        coarsening: a voxel stands for 8^coarsening bytes.
        page_count: pages of RAM.
        slots: page number and state by the brick's place.
        segments: the raw pages.
        pyramid: the levels above them.
    """

    def __init__(
        self, device: wgpu.GPUDevice, ram_size: int, order: int | None = None, jobs: CurveJobs | None = None
    ) -> None:
        """Reserve a pool for `ram_size` bytes.

        Without an `order` the finest that the device can hold is chosen. `GraphicsError` where it cannot hold the
        one asked for, or none; `UsageError` for one out of range.
        """
        self.device = device
        self.ram_size = ram_size
        self.page_count = page_count(ram_size)
        self.order, self.coarsening = self._choose_order(order)
        self._jobs = jobs or CurveJobs(device)
        try:
            self.segments = self._reserve(self.page_bytes, self.pool_shift)
            self.pyramid = self._reserve(4 * pyramid_words(self.coarsening), self.pyramid_shift)
        except wgpu.GPUError as error:
            raise GraphicsError(
                f"the graphics device has no memory for order {self.order} ({error}); use --order {self.order - 1}"
            ) from None
        self.slots = device.create_buffer(size=4 << 3 * self.page_order, usage=_STORAGE)
        self._table = device.create_buffer_with_data(data=brick_table(), usage=wgpu.BufferUsage.UNIFORM)
        self._pieces = device.create_buffer(size=PIECE_BYTES, usage=_STORAGE)
        self._list = device.create_buffer(size=4 * (PIECE_BYTES // self.page_bytes), usage=_STORAGE)
        self._groups = [
            self._jobs.bind(segment, self._list, self.pyramid[n << self.pool_shift >> self.pyramid_shift])
            for n, segment in enumerate(self.segments)
        ]
        self._fence = device.create_buffer(size=16, usage=wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST)
        group = self._jobs.bind(self._pieces, self._list, self.slots)
        self._jobs.run("place_slots", group, (self.page_order, 0, 0, self.page_count), -(-self.page_count // 64))

    # --- sizes -----------------------------------------------------------------------------------------------

    @property
    def side(self) -> int:
        """Voxels along an edge of the whole cube."""
        return 1 << self.order

    @property
    def page_order(self) -> int:
        """Order of the curve of pages: its cube covers the same space."""
        return self.order + self.coarsening - PAGE_ORDER

    @property
    def page_bytes(self) -> int:
        """Bytes of a page in the pool."""
        return PAGE_SIZE >> 3 * self.coarsening

    @property
    def pool_shift(self) -> int:
        """A segment of the pool holds 2^pool_shift pages; never more than one of the pyramid."""
        return min(self._largest_shift(self.page_bytes), self.pyramid_shift)

    @property
    def pyramid_shift(self) -> int:
        """A segment of the pyramid holds 2^pyramid_shift pages."""
        return self._largest_shift(4 * pyramid_words(self.coarsening))

    @property
    def device_bytes(self) -> int:
        """Memory of the device that pool, pyramid and slots take."""
        return sum(int(buffer.size) for buffer in (*self.segments, *self.pyramid, self.slots))

    def _largest_shift(self, bytes_a_page: int) -> int:
        limits = self.device.limits
        limit = min(int(limits["max-storage-buffer-binding-size"]), int(limits["max-buffer-size"]))
        return (limit // bytes_a_page).bit_length() - 1

    def _reserve(self, bytes_a_page: int, shift: int) -> list[wgpu.GPUBuffer]:
        counts = [min(self.page_count - first, 1 << shift) for first in range(0, self.page_count, 1 << shift)]
        sizes = [-(-count * bytes_a_page // 16) * 16 for count in counts]
        return [self.device.create_buffer(size=size, usage=_STORAGE) for size in sizes]

    def _choose_order(self, wanted: int | None) -> tuple[int, int]:
        finest, coarsening = choose_order(self.ram_size, wanted)
        bindings = int(self.device.limits["max-storage-buffers-per-shader-stage"]) - _OTHER_BINDINGS
        for step in range(MAX_COARSENING - coarsening + 1):
            self.order, self.coarsening = max(finest - step, MIN_ORDER), coarsening + step
            segments = -(-self.page_count >> self.pool_shift) + -(-self.page_count >> self.pyramid_shift)
            if segments <= bindings:
                if wanted is not None and step:
                    break
                return self.order, self.coarsening
        raise GraphicsError(
            f"bricks of order {finest} are too many for this graphics device; use --order {max(self.order, MIN_ORDER)}"
        )

    # --- the shader's side -----------------------------------------------------------------------------------

    def shader_code(self, first_binding: int) -> str:
        """WGSL that reads bricks: constants, bindings from `first_binding` on, and ``bricks.wgsl``."""
        constants = {
            "PAGE_ORDER": self.page_order,
            "PAGE_COUNT": self.page_count,
            "COARSENING": self.coarsening,
            "POOL_SHIFT": self.pool_shift,
            "PYRAMID_SHIFT": self.pyramid_shift,
            "PYRAMID_WORDS": pyramid_words(self.coarsening),
        }
        lines = [f"const {name} = {value}u;" for name, value in constants.items()]
        names = ["slots", *_numbered("pool", self.segments), *_numbered("pyramid", self.pyramid)]
        lines.append(f"@group(0) @binding({first_binding}) var<uniform> brick_table: array<vec4<u32>, 512>;")
        lines += [
            f"@group(0) @binding({first_binding + 1 + n}) var<storage, read> {name}: array<u32>;"
            for n, name in enumerate(names)
        ]
        lines += [_word_function("pool", len(self.segments)), _word_function("pyramid", len(self.pyramid))]
        return "\n".join([*lines, (SHADERS / "bricks.wgsl").read_text()])

    def bindings(self) -> list[tuple[str, wgpu.GPUBuffer]]:
        """(kind, buffer) of the bindings of `shader_code`, in order."""
        storage = (self.slots, *self.segments, *self.pyramid)
        return [("uniform", self._table), *(("read-only-storage", buffer) for buffer in storage)]

    # --- filling ---------------------------------------------------------------------------------------------

    def update(self, ram: npt.NDArray[np.uint8], pages: npt.NDArray[np.int64] | None = None) -> int:
        """Copy the given pages of `ram` (all of it by default) to the device; return how many they were.

        Untouched pages of a live machine should not be named: reading a hole of the RAM file through a mapping makes
        the host allocate it, and the pool holds zeros there already. `pages` are page numbers in the file; numbers
        past its end are ignored.
        """
        if pages is None:
            pages = np.arange(self.page_count, dtype=np.int64)
        pages = np.unique(np.asarray(pages, np.int64))
        pages = pages[(pages >= 0) & (pages < self.page_count)]
        for segment, piece in self._for_each_piece(pages):
            self._upload(ram, segment, piece)
            self.device.queue.write_buffer(self._list, 0, piece.astype(np.uint32))
            job = (self.pool_shift, self.pyramid_shift, self.coarsening, len(piece))
            words = max(self.page_bytes >> 5, 1) * len(piece)
            self._jobs.run("reduce_pages", self._groups[segment], job, -(-words // 64))
            if self.coarsening < MAX_COARSENING:
                self._jobs.run("reduce_blocks", self._groups[segment], job, -(-len(piece) // 64))
        return len(pages)

    def clear(self, pages: npt.NDArray[np.int64]) -> int:
        """Let the given pages be zeros; return how many they were."""
        # Memory that is never written costs the host nothing.
        return self.update(np.zeros(self.ram_size, np.uint8), pages) if len(pages) else 0

    def _for_each_piece(self, pages: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield (segment, ascending pages of it) of at most `PIECE_BYTES` of RAM each."""
        for segment in np.unique(pages >> self.pool_shift).tolist():
            inside = pages[pages >> self.pool_shift == segment]
            for start in range(0, len(inside), PIECE_BYTES // PAGE_SIZE):
                yield segment, inside[start : start + PIECE_BYTES // PAGE_SIZE]

    def _upload(self, ram: npt.NDArray[np.uint8], segment: int, pages: npt.NDArray[np.int64]) -> None:
        queue, target, size = self.device.queue, self.segments[segment], self.page_bytes
        start = segment << self.pool_shift
        whole = self.ram_size // PAGE_SIZE
        gathered, copies = [], []
        for first, count in find_runs(pages):
            if first + count > whole or count < DIRECT_PAGES:
                gathered.append((first, count))
                continue
            values = coarsen(ram[first * PAGE_SIZE : (first + count) * PAGE_SIZE], self.coarsening)
            queue.write_buffer(target, (first - start) * size, values)  # the driver reads the guest's own pages
        if not gathered:
            return
        staged = np.concatenate([self._read(ram, first, count) for first, count in gathered])
        queue.write_buffer(self._pieces, 0, coarsen(staged, self.coarsening))
        place = 0
        for first, count in gathered:
            copies.append((place, (first - start) * size, count * size))
            place += count * size
        encoder = self.device.create_command_encoder()
        for source, place, length in copies:
            encoder.copy_buffer_to_buffer(self._pieces, source, target, place, length)
        queue.submit([encoder.finish()])

    def _read(self, ram: npt.NDArray[np.uint8], first: int, count: int) -> npt.NDArray[np.uint8]:
        values = ram[first * PAGE_SIZE : min((first + count) * PAGE_SIZE, self.ram_size)]
        missing = count * PAGE_SIZE - len(values)
        return np.pad(values, (0, missing)) if missing else values

    def wait(self) -> None:
        """Return when the device has done everything submitted so far."""
        encoder = self.device.create_command_encoder()
        encoder.copy_buffer_to_buffer(self.slots, 0, self._fence, 0, 16)
        self.device.queue.submit([encoder.finish()])
        self._fence.map_sync("READ")
        self._fence.unmap()

    # --- for tests -------------------------------------------------------------------------------------------

    def read_voxels(self, level: int | None = None) -> npt.NDArray[np.uint8]:
        """Every voxel as the shader reads it: `uint8` of shape (side, side, side) indexed [z, y, x].

        `level` (coarsening + 1 to 4) gives the pyramid's byte at each voxel instead. It is what tests compare, and
        slow for large pools.
        """
        side = self.side
        code = self.shader_code(1) + (SHADERS / "probe.wgsl").read_text().replace("LEVEL", f"{level or 0}u")
        words = self.device.create_buffer(size=side**3, usage=_STORAGE)
        module = self.device.create_shader_module(code=code)
        run_probe(self.device, module, [("storage", words), *self.bindings()], side)
        return np.frombuffer(self.device.queue.read_buffer(words), np.uint8).reshape(side, side, side)


def run_probe(
    device: wgpu.GPUDevice, module: wgpu.GPUShaderModule, bindings: list[tuple[str, wgpu.GPUBuffer]], side: int
) -> None:
    """Run ``probe.wgsl``: a workgroup for every row of voxels along x."""
    layout = device.create_bind_group_layout(
        entries=[
            {"binding": n, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": kind}}
            for n, (kind, _) in enumerate(bindings)
        ]
    )
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
        compute={"module": module, "entry_point": "read_row"},
    )
    entries: list[dict[str, Any]] = [
        {"binding": n, "resource": {"buffer": buffer}} for n, (_, buffer) in enumerate(bindings)
    ]
    encoder = device.create_command_encoder()
    compute = encoder.begin_compute_pass()
    compute.set_pipeline(pipeline)
    compute.set_bind_group(0, device.create_bind_group(layout=layout, entries=entries))
    compute.dispatch_workgroups(side, side)
    compute.end()
    device.queue.submit([encoder.finish()])


def _numbered(name: str, buffers: list[wgpu.GPUBuffer]) -> list[str]:
    return [f"{name}_{n}" for n in range(len(buffers))]


def _word_function(name: str, count: int) -> str:
    """WGSL of ``name_word(segment, place)``: a word of any segment."""
    if count == 1:
        return f"fn {name}_word(segment: u32, place: u32) -> u32 {{ return {name}_0[place]; }}"
    cases = [f"        case {n}u: {{ return {name}_{n}[place]; }}" for n in range(count)]
    body = "\n".join(["    switch segment {", *cases, "        default: { return 0u; }", "    }"])
    return f"fn {name}_word(segment: u32, place: u32) -> u32 {{\n{body}\n}}"
