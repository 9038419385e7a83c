"""Entropy and counts of bytes: kernels and NumPy give the same, and say which of them answers."""

from __future__ import annotations

import logging
import sys
import tempfile

import numpy as np
import pytest
from PIL import Image

from pixel_cpu.runtime.events import Announcer, Listener
from viewer.sources.page_bytes import PageBytes

RANDOM = np.random.default_rng(0)
RAM = np.concatenate(
    [RANDOM.integers(0, high, 4096, np.uint8) for high in (1, 2, 17, 200, 255) for _ in range(20)]
    + [np.full(4096, 255, np.uint8), (np.arange(4096) % 256).astype(np.uint8)]
)
RAM.flags.writeable = False
PAGES = np.flatnonzero(np.arange(len(RAM) // 4096) % 7).astype(np.int64)


@pytest.fixture(scope="module", params=["numpy", "kernels", "kernels in chunks", "kernels in lanes"])
def answers(request):
    """Ways to work out what is asked."""
    options = {
        "numpy": {"wants_kernels": False},
        "kernels in chunks": {"chunk_pages": 9},
        "kernels in lanes": {"scalar": False},
    }
    found = PageBytes(**options.get(request.param, {}))
    found.prepare().join()
    assert found.has_kernels == (request.param != "numpy")
    return found


def test_entropy_is_that_of_pillow(answers):
    pages = RAM.reshape(-1, 64, 64)
    for page, value in zip(PAGES, answers.entropy(RAM, PAGES), strict=True):
        assert abs(Image.fromarray(pages[page]).entropy() / 8 * 255 - int(value)) <= 0.51
    assert answers.entropy(RAM, np.array([0, 100, 101])).tolist() == [0, 0, 255]


def test_launches_of_the_window_itself_are_told_to_nobody(monkeypatch):
    announcer = Announcer()
    monkeypatch.setattr("pixel_cpu.runtime.device.ANNOUNCER", announcer)
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        with Listener() as listener:
            assert announcer.is_heard()
            found = PageBytes()
            found.prepare().join()
            assert found.has_kernels
            found.entropy(RAM, PAGES)
            found.counts(RAM, PAGES)
            assert listener.receive(0) == []
        announcer.close()


def test_counts_are_numpys(answers):
    assert (answers.counts(RAM, PAGES) == np.bincount(RAM.reshape(-1, 4096)[PAGES].ravel(), minlength=256)).all()
    assert answers.counts(RAM, PAGES[:0]).tolist() == [0] * 256
    assert len(answers.entropy(RAM, PAGES[:0])) == 0


def test_bytes_behind_the_last_whole_page_are_left_out(answers):
    ram = RAM[: 3 * 4096 + 100]
    assert answers.counts(ram, np.array([0, 2])).sum() == 2 * 4096


def test_without_a_compiler_numpy_answers_and_says_so(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    found = PageBytes()
    with caplog.at_level(logging.WARNING):
        found.prepare().join()
    assert not found.has_kernels
    assert "NumPy works out entropy" in caplog.text and "no C compiler" in caplog.text
    assert found.entropy(RAM, np.array([101])).tolist() == [255]
