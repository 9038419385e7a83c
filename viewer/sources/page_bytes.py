"""Entropy and counts of the bytes of pages, in guest RAM itself: by kernels of the software GPU, or by NumPy.

NumPy answers until the kernels are compiled, and where there is no compiler; a log line says so.

>>> page_bytes().entropy(ram.view, np.array([0, 7]))
array([0, 143], dtype=uint8)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SIZE

log = logging.getLogger(__name__)
Pages = npt.NDArray[np.int64]
Ram = npt.NDArray[np.uint8]

CHUNK_PAGES = 1 << 19
"""Pages of RAM that one launch sees: 2 GiB, so that words are addressed by 31 bits and bytes counted in 32."""
_BLOCK_PAGES = 64
"""Pages that NumPy looks at together: they stay in the processor's cache."""


class PageBytes:
    """Answers by NumPy at first, by kernels once they are compiled, which the first question starts in a thread.

    A launch sees `chunk_pages` of RAM; unless it `wants_kernels` NumPy answers always. `scalar` states whether
    kernels run in lanes; the software GPU's estimate chooses by default.
    """

    def __init__(
        self, *, chunk_pages: int = CHUNK_PAGES, scalar: bool | None = None, wants_kernels: bool = True
    ) -> None:
        self._chunk_pages, self._scalar, self._wants_kernels = chunk_pages, scalar, wants_kernels
        self._kernels: _Kernels | None = None
        self._compiling: threading.Thread | None = None

    @property
    def has_kernels(self) -> bool:
        """Whether kernels answer the next question."""
        return self._kernels is not None

    @property
    def pages_a_frame(self) -> int:
        """Pages whose entropy is worked out between two frames: a few milliseconds."""
        return 2048 if self._kernels else 128

    def prepare(self) -> threading.Thread:
        """Compile the kernels, or load them from the cache, in a thread, which is returned; again, it is the same thread."""
        if self._compiling is None:
            # No daemon: a process that ends sooner waits for the compiler, so that the next one finds what it made.
            self._compiling = threading.Thread(target=self._compile, name="page kernels")
            self._compiling.start()
        return self._compiling

    def _compile(self) -> None:
        if not self._wants_kernels:
            return
        try:
            self._kernels = _Kernels(self._chunk_pages, self._scalar)
        except (ImportError, OSError, GlassBoxError) as error:
            log.warning("NumPy works out entropy and counts of bytes, many times slower than kernels would: %s", error)

    def entropy(self, ram: Ram, pages: Pages) -> npt.NDArray[np.uint8]:
        """Shannon entropy of the bytes of `pages` of RAM, 0 to 8 bits a byte as 0 to 255."""
        self.prepare()
        bits = self._kernels.entropy(ram, pages) if self._kernels else _entropy(_rows(ram), pages)
        return np.round(255 * np.clip(bits / 8, 0, 1)).astype(np.uint8)

    def counts(self, ram: Ram, pages: Pages) -> npt.NDArray[np.int64]:
        """How often each byte occurs in `pages` of RAM together: of shape (256,)."""
        self.prepare()
        if self._kernels:
            return self._kernels.counts(ram, pages)
        return np.bincount(_rows(ram)[pages].reshape(-1), minlength=256)


@cache
def page_bytes() -> PageBytes:
    """The one of this process."""
    return PageBytes()


def _rows(ram: Ram) -> Ram:
    return ram[: len(ram) // PAGE_SIZE * PAGE_SIZE].reshape(-1, PAGE_SIZE)


def _entropy(rows: Ram, pages: Pages) -> npt.NDArray[np.float64]:
    bits = np.zeros(len(pages))
    for start in range(0, len(pages), _BLOCK_PAGES):
        block = rows[pages[start : start + _BLOCK_PAGES]]
        # One count for all rows: each row's bytes get 256 numbers of their own.
        numbered = block.astype(np.intp) + 256 * np.arange(len(block))[:, None]
        share = np.bincount(numbered.reshape(-1), minlength=256 * len(block)).reshape(-1, 256) / PAGE_SIZE
        bits[start : start + len(block)] = -(share * np.log2(np.maximum(share, 1e-9))).sum(axis=1)
    return bits


class _Kernels:
    """The kernels of ``ram.gpk``, ready to run in this process. Raises what `pixel_cpu` does where they cannot be."""

    def __init__(self, chunk_pages: int, scalar: bool | None) -> None:
        import pixel_cpu  # takes a while, and most pictures need it not
        from pixel_cpu import kernels

        self._chunk_pages = chunk_pages
        # The window lists other programs' launches; its own ones would make it draw, and launch, for ever.
        self._device = pixel_cpu.Device("cpu", isolated=False, events=False, scalar=scalar)
        program = pixel_cpu.loads(kernels.source("ram"), file="ram.gpk")
        self._entropy, self._counts = (program.kernel(name) for name in ("entropy_of_pages", "count_bytes_of_pages"))
        for kernel in (self._entropy, self._counts):
            self._device.prepare(kernel.module, kernel.name, kernel.definition.group)
        count = np.arange(PAGE_SIZE + 1)
        self._terms = (count * np.log2(np.maximum(count, 1))).astype(np.float32)

    def entropy(self, ram: Ram, pages: Pages) -> npt.NDArray[np.float32]:
        bits = np.zeros(len(pages), np.float32)
        for words, rows, numbers in self._chunks(ram, pages):
            found = np.zeros(len(numbers), np.float32)
            self._entropy.launch(
                len(numbers), device=self._device, words=words, pages=numbers, terms=self._terms, entropy=found
            )
            bits[rows] = found
        return bits

    def counts(self, ram: Ram, pages: Pages) -> npt.NDArray[np.int64]:
        total = np.zeros(256, np.int64)
        for words, _, numbers in self._chunks(ram, pages):
            found = np.zeros(256, np.uint32)
            self._counts.launch(len(numbers), device=self._device, words=words, pages=numbers, counts=found)
            total += found
        return total

    def _chunks(
        self, ram: Ram, pages: Pages
    ) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp], npt.NDArray[np.uint32]]]:
        """Words of a part of RAM, which of `pages` lie in it, and their numbers there."""
        words = _rows(ram).reshape(-1).view(np.uint64)
        chunk_of = pages // self._chunk_pages
        size = self._chunk_pages * (PAGE_SIZE // 8)
        for chunk in np.unique(chunk_of).tolist():
            rows = np.flatnonzero(chunk_of == chunk)
            yield words[chunk * size : (chunk + 1) * size], rows, (pages[rows] % self._chunk_pages).astype(np.uint32)
