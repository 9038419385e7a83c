"""The matrix product: every tile multiplies matrices of any size, and the tuner's choice is kept."""

import numpy as np
import pytest
from primitives_runs import launch

import pixel_cpu
from pixel_cpu import kernels
from pixel_cpu.errors import LaunchError
from pixel_cpu.frontends.primitives import compile_source, format_source
from pixel_cpu.ir.model import Bounds, Space, walk
from pixel_cpu.kernels import product
from pixel_cpu.kernels.product import TILES, Tile
from pixel_cpu.passes.bounds import prove_bounds

RNG = np.random.default_rng(5)
# A lane for each column; two columns and two rows for each of few lanes; more passes; tiles that are not as deep as a block is wide;
# a block of two tiles.
SMALL = [
    Tile(8, 8, 8, 2),
    Tile(8, 8, 4, 2, 2, 4),
    Tile(16, 8, 8, 4, 1, 2),
    Tile(4, 8, 16, 4),
    Tile(4, 8, 8, 2, parts=2),
]


def matrices(m, n, k):
    return RNG.uniform(-1, 1, (m, k)).astype(np.float32), RNG.uniform(-1, 1, (k, n)).astype(np.float32)


def test_the_file_is_the_text_of_a_tile():
    assert kernels.source("matmul") == product.text(Tile(64, 64, 64, 4))


@pytest.mark.parametrize("tile", {tile for tiles in TILES.values() for tile in tiles}, ids=lambda tile: tile.name)
def test_texts_are_canonical_and_shared_memory_is_not_checked(tile):
    text = product.text(tile)
    assert format_source(text) == text
    module, _ = prove_bounds(product.kernel(tile).module, "matmul", group=tile.threads)
    accesses = [op for op in walk(module.kernels["matmul"].body) if op.is_access]
    assert all(op.bounds is Bounds.PROVED for op in accesses if op.memory.space is Space.WORKGROUP)
    assert tile.passes * tile.tall * tile.down == tile.rows and tile.across * tile.wide == tile.columns


@pytest.mark.parametrize("tile", SMALL, ids=lambda tile: tile.name)
@pytest.mark.parametrize("shape", [(1, 1, 1), (16, 16, 16), (9, 7, 13), (17, 3, 5), (3, 20, 1)])
def test_a_tile_multiplies_matrices_of_any_size(tile, shape):
    m, n, k = shape
    a, b = matrices(m, n, k)
    c = np.zeros(m * n, np.float32)
    given = {"a": a.ravel(), "b": b.ravel(), "c": c, "m": m, "n": n, "k": k}
    launch(compile_source(product.text(tile)), "matmul", product.lanes(tile, m, n), tile.threads, **given)
    assert np.allclose(c.reshape(m, n), a @ b, atol=1e-5)


def test_the_choice_of_the_tuner_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(TILES, "reference", tuple(SMALL[:2]))
    with pixel_cpu.Device("reference", isolated=False) as device:
        a, b = matrices(5, 3, 4)
        found = kernels.matmul(a, b, device=device)
        assert found.shape == (5, 3) and np.allclose(found, a @ b, atol=1e-5)
        assert np.allclose(kernels.matmul(b.T, a.T, device=device), found.T, atol=1e-5)
        tile = product.chosen(device, 5, 3, 4)
    (file,) = tmp_path.rglob("tuned.json")
    assert "matmul reference" in file.read_text()

    def measured(*given):
        raise AssertionError("measured again")

    monkeypatch.setattr("pixel_cpu.runtime.tuner._launch", measured)
    with pixel_cpu.Device("reference", isolated=False) as device:
        assert product.chosen(device, 7, 4, 3) == tile


def test_matrices_without_elements(monkeypatch):
    for m, n, k in ((0, 3, 2), (3, 0, 2), (3, 2, 0)):
        found = kernels.matmul(np.ones((m, k), "f4"), np.ones((k, n), "f4"), device="reference")
        assert found.shape == (m, n) and not found.any()


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.ones((2, 2)), np.ones((2, 2), "f4"), "a is no matrix of float32"),
        (np.ones((2, 2), "f4"), np.ones(2, "f4"), "b is no matrix"),
        (np.ones((2, 3), "f4"), np.ones((2, 3), "f4"), "2 x 3 and 2 x 3 do not fit"),
    ],
)
def test_what_is_no_product_is_refused(a, b, words):
    with pytest.raises(LaunchError, match=words):
        kernels.matmul(a, b, device="reference")
