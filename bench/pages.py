"""Looking through guest RAM: kernels of the software GPU against NumPy and the C library, on the same bytes of a real guest."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from unittest import mock

import numpy as np
import numpy.typing as npt

import pixel_cpu
from pixel_cpu import kernels
from qemu_bridge.memory.ram import GuestRam
from viewer.sources.page_bytes import PageBytes

from .booted import booted
from .figures import Figure, paired_medians, seconds

SAMPLE_PAGES = 4096
"""Pages whose bytes are counted in a round: NumPy takes a good while for one."""
PATTERNS = {
    "4 bytes": b"\x7fELF",
    "9 bytes": b"swapper/0",
    "26 bytes that are nowhere": b"abcdefghijklmnopqrstuvwxyz"[::-1],
}
MOST_PLACES = 10_000
FILLED_BYTES = 256 << 20
"""RAM that is worked out from the beginning: as much as the guest has, again and again."""


def measure(rounds: int) -> list[Figure]:
    """Entropy, counts of bytes, pages of zeros, and the search for a pattern: what is used today against the alternative."""
    with booted("bench-pages") as client:
        client.pause()
        start, end = max(client.ram.resident_runs(), key=lambda run: run[1] - run[0])
        ram = client.ram.view[start:end]
        return [*_counting(ram, rounds), _zeros(ram, rounds), *_searches(client.ram, ram, rounds)]


def _counting(ram: npt.NDArray[np.uint8], rounds: int) -> Iterator[Figure]:
    ours, theirs = PageBytes(), PageBytes(wants_kernels=False)
    ours.prepare().join()
    every = np.arange(len(ram) >> 12)
    pages = every[:SAMPLE_PAGES]
    assert np.abs(ours.entropy(ram, pages).astype(int) - theirs.entropy(ram, pages)).max() <= 1
    assert (ours.counts(ram, pages) == theirs.counts(ram, pages)).all()
    yield _gain(
        "entropy of pages: kernel / NumPy",
        ">= 1.2",
        len(pages) << 12,
        rounds,
        lambda: ours.entropy(ram, pages),
        lambda: theirs.entropy(ram, pages),
    )
    yield _gain(
        "bytes of pages counted: kernel / NumPy",
        ">= 1.2",
        len(pages) << 12,
        rounds,
        lambda: ours.counts(ram, pages),
        lambda: theirs.counts(ram, pages),
    )

    large = np.tile(ram, -(-FILLED_BYTES // len(ram)))[:FILLED_BYTES]
    compiling: list[float] = []

    def fill_cold() -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", XDG_CACHE_HOME=folder):
            own = PageBytes()
            compiling.append(seconds(lambda: _fill(own, large)))
            own.prepare().join()

    fill_cold()
    begun = seconds(lambda: _fill(ours, large))
    yield Figure(
        "entropy of a guest's RAM, nothing compiled yet",
        seconds(lambda: _fill(theirs, large)) / compiling[0],
        "x",
        ">= 1.2",
        f"as the window fills {FILLED_BYTES >> 20} MiB: {compiling[0]:.1f} s, {begun:.1f} s once compiled, against NumPy",
    )


def _fill(by: PageBytes, ram: npt.NDArray[np.uint8]) -> None:
    """Work everything out in the steps of a window."""
    first = 0
    while first < len(ram) >> 12:
        step = by.pages_a_frame
        by.entropy(ram, np.arange(first, min(first + step, len(ram) >> 12)))
        first += step


def _zeros(ram: npt.NDArray[np.uint8], rounds: int) -> Figure:
    """The page map of the introspection stands below the kernels' layer, so that it asks NumPy whatever is faster."""
    words = ram.view(np.uint64)
    device = pixel_cpu.Device("cpu", isolated=False)
    kernel = pixel_cpu.loads(kernels.source("ram")).kernel("zero_pages")
    found = np.zeros(len(ram) >> 12, np.uint8)

    def ours() -> None:
        kernel.launch(len(found), device=device, words=words, is_zero=found)

    ours()
    assert (found == ~words.reshape(-1, 512).any(axis=1)).all()
    return _gain(
        "pages of zeros: kernel / NumPy, which is used",
        "",
        len(ram),
        rounds,
        ours,
        lambda: words.reshape(-1, 512).any(axis=1),
    )


def _searches(whole: GuestRam, ram: npt.NDArray[np.uint8], rounds: int) -> Iterator[Figure]:
    program = pixel_cpu.loads(kernels.source("ram"))
    with pixel_cpu.Device("cpu", isolated=False) as device:
        for name, pattern in PATTERNS.items():
            yield from _search(name, pattern, whole, ram, program.kernel("find_in_words"), device, rounds)


def _search(
    name: str,
    pattern: bytes,
    whole: GuestRam,
    ram: npt.NDArray[np.uint8],
    kernel: pixel_cpu.Kernel,
    device: pixel_cpu.Device,
    rounds: int,
) -> Iterator[Figure]:
    common = np.bincount(ram[::97], minlength=256) + 1
    # The pair of bytes that is rarest in this memory.
    rare = [int(common[one] * common[other]) for one, other in pairwise(pattern)]
    count, places = np.zeros(1, np.uint32), np.zeros(MOST_PLACES, np.uint32)

    def by_kernel() -> None:
        count[0] = 0
        kernel.launch(
            len(ram) >> 3,
            device=device,
            words=ram.view(np.uint64),
            bytes=ram,
            pattern=np.frombuffer(pattern, np.uint8),
            anchor=rare.index(min(rare)),
            count=count,
            places=places,
        )

    def find() -> list[int]:
        return [int(place) for place in whole.find(pattern)]

    by_kernel()
    first = ram.ctypes.data - whole.view.ctypes.data
    inside = [place - first for place in find() if first <= place <= first + len(ram) - len(pattern)]
    assert sorted(places[: count[0]].tolist()) == inside
    yield _gain(f"search for {name}: kernel / find, which is used", "", len(ram), rounds, by_kernel, find)
    yield _gain(
        f"search for {name}: find / Python's own",
        ">= 1.0",
        len(ram),
        rounds,
        find,
        lambda: _python_find(whole, pattern),
    )


def _python_find(ram: GuestRam, pattern: bytes) -> list[int]:
    found = []
    with ram.path.open("rb") as file, mmap.mmap(file.fileno(), ram.size, prot=mmap.PROT_READ) as memory:
        for start, end in ram.resident_runs():
            while (start := memory.find(pattern, start, end)) >= 0:
                found.append(start)
                start += 1
    return found


def _gain(
    name: str, target: str, size: int, rounds: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> Figure:
    mine, yardstick, ratio = paired_medians(lambda: seconds(ours), lambda: seconds(theirs), rounds)
    return Figure(
        name,
        1 / ratio,
        "x",
        target,
        f"{size / mine / 1e9:.2f} GB/s against {size / yardstick / 1e9:.2f} GB/s over {size >> 20} MiB",
    )
