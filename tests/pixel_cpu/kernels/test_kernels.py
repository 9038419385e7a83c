import hashlib
import struct
import zlib

import numpy as np
import pytest
from primitives_runs import launch

import pixel_cpu
from pixel_cpu import kernels
from pixel_cpu.frontends.primitives import compile_source, format_source

RNG = np.random.default_rng(11)


def run(name, kernel, lanes, group=64, **given):
    launch(compile_source(kernels.source(name), f"{name}.gpk"), kernel, lanes, group, **given).raise_trap(kernel)


def floats(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def zeros(count, kind=np.float32):
    return np.zeros(count, kind)


@pytest.mark.parametrize("name", kernels.names())
def test_a_file_is_in_canonical_form(name):
    assert format_source(kernels.source(name)) == kernels.source(name)


def test_a_file_that_is_not_there():
    with pytest.raises(KeyError, match="saxpy"):
        kernels.source("../errors")


def test_saxpy():
    x, y = floats(2, 1000)
    wanted = np.float32(2.5) * x + y
    run("saxpy", "saxpy", 1024, a=2.5, x=x, y=y)
    assert (y == wanted).all()


@pytest.mark.parametrize(("lanes", "group"), [(256, 64), (300, 128), (1, 1)])
def test_sums_and_ranges(lanes, group):
    x = floats(2000)
    groups = -(-lanes // group)
    partial, total, low, high = zeros(groups), zeros(1), zeros(groups), zeros(groups)
    run("reduce", "sum", lanes, group, x=x, partial=partial)
    run("reduce", "sum", min(groups, 64), 64, x=partial, partial=total)
    assert total[0] == pytest.approx(x.sum(dtype=np.float64), rel=1e-4, abs=1e-4)
    run("reduce", "range", lanes, group, x=x, least=low, greatest=high)
    assert (low.min(), high.max()) == (x.min(), x.max())


@pytest.mark.parametrize("count", [1, 64, 65, 1000])
def test_inclusive_scan(count):
    x = RNG.integers(-99, 99, count).astype(np.int32)
    out, totals, scanned, unused = (zeros(size, np.int32) for size in (count, -(-count // 64), -(-count // 64), 1))
    lanes = -(-count // 64) * 64
    run("scan", "scan_blocks", lanes, x=x, out=out, totals=totals)
    run("scan", "scan_blocks", 64, x=totals, out=scanned, totals=unused)
    run("scan", "add_before", lanes, out=out, totals=scanned)
    assert (out == np.cumsum(x)).all()


@pytest.mark.parametrize(("lanes", "group"), [(128, 64), (100, 64), (70, 7)])
def test_histogram(lanes, group):
    data = RNG.integers(0, 256, 5000).astype(np.uint8) & np.uint8(0x7F)
    counts = zeros(256, np.uint32)
    run("histogram", "histogram", lanes, group, bytes=data, counts=counts)
    assert (counts == np.bincount(data, minlength=256)).all()


def test_bitonic_sort():
    x = floats(256)
    wanted = np.sort(x)
    block = 2
    while block <= len(x):
        distance = block // 2
        while distance:
            run("sort", "bitonic_step", len(x), x=x, block=block, distance=distance)
            distance //= 2
        block *= 2
    assert (x == wanted).all()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (16, 16), (33, 50)])
def test_transpose(rows, columns):
    x = floats(rows, columns)
    out = zeros(rows * columns)
    blocks = -(-rows // 16) * -(-columns // 16)
    run("transpose", "transpose", blocks * 256, 256, x=x.reshape(-1), out=out, rows=rows, columns=columns)
    assert (out.reshape(columns, rows) == x.T).all()


def test_conv2d():
    picture, weights = floats(9, 12), floats(3, 3)
    out = zeros(9 * 12)
    run("conv2d", "conv2d", 50, picture=picture.reshape(-1), filter=weights.reshape(-1), out=out, width=12, side=3)
    padded = np.pad(picture, 1)
    wanted = sum(padded[j : j + 9, i : i + 12] * weights[j, i] for j in range(3) for i in range(3))
    assert np.allclose(out.reshape(9, 12), wanted, atol=1e-5)


def test_nbody():
    now, speed = floats(20, 4), floats(20, 4)
    now[:, 3] = np.abs(now[:, 3])
    following, wanted = zeros(80), speed.astype(np.float64)
    between = now[None, :, :3].astype(np.float64) - now[:, None, :3]
    square = (between**2).sum(-1) + 0.0001
    wanted[:, :3] += (between * (now[:, 3] / square**1.5)[..., None]).sum(1) * 0.01
    run("nbody", "nbody_step", 20, now=now.reshape(-1), next=following, speed=speed.reshape(-1), dt=0.01)
    assert np.allclose(speed, wanted, atol=1e-4)
    assert np.allclose(following.reshape(-1, 4)[:, :3], now[:, :3] + wanted[:, :3] * 0.01, atol=1e-5)
    assert (following.reshape(-1, 4)[:, 3] == now[:, 3]).all()


def test_mandelbrot():
    width, height, most = 24, 20, 50
    counts = zeros(width * height, np.int32)
    run("mandelbrot", "mandelbrot", 100, counts=counts, width=width, left=-2.0, top=-1.25, step=0.125, most=most)
    step = np.float32(0.125)
    x, y = (
        np.float32(-2) + np.arange(width, dtype=np.float32) * step,
        np.float32(-1.25) + np.arange(height, dtype=np.float32) * step,
    )
    cx, cy = np.meshgrid(x, y)
    zx, zy, wanted = np.zeros_like(cx), np.zeros_like(cx), np.zeros(cx.shape, np.int32)
    for _ in range(most):
        with np.errstate(over="ignore", invalid="ignore"):
            near = zx * zx + zy * zy <= 4
            zx, zy = np.where(near, zx * zx - zy * zy + cx, zx), np.where(near, 2 * zx * zy + cy, zy)
        wanted += near
    assert (counts.reshape(height, width) == wanted).all()
    picture = zeros(width * height, np.uint32)
    run("mandelbrot", "paint", 64, counts=counts, picture=picture, most=most)
    assert ((picture == 0xFF000000) == (counts == most)).all()


def test_crc32():
    data = RNG.integers(0, 256, 70 * 33).astype(np.uint8)
    out = zeros(70, np.uint32)
    run("crc32", "crc32", 70, bytes=data, size=33, out=out)
    assert out.tolist() == [zlib.crc32(data[33 * k : 33 * k + 33].tobytes()) for k in range(70)]


def primes(count):
    found = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def fraction_bits(value, root):
    """The first 32 bits behind the point of a root, in integers."""
    scaled, low, high = value << 32 * root, 0, value << 32
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**root <= scaled else (low, middle)
    return low & 0xFFFFFFFF


def test_sha256_search():
    constants = np.array([fraction_bits(prime, 3) for prime in primes(64)], np.uint32)
    start = np.array([fraction_bits(prime, 2) for prime in primes(8)], np.uint32)
    message = RNG.integers(0, 256, 56).astype(np.uint8)
    first, lanes, zero_bits = 1000, 200, 5
    found, digest = np.full(1, 0xFFFFFFFF, np.uint32), zeros(lanes, np.uint32)
    given = {"message": message, "k": constants, "start": start, "found": found, "digest": digest}
    run("sha256", "sha256_search", lanes, **given, first=first, zeros=zero_bits)
    hashes = [hashlib.sha256(message.tobytes() + struct.pack("<Q", first + k)).digest() for k in range(lanes)]
    words = [int.from_bytes(each[:4], "big") for each in hashes]
    assert digest.tolist() == words
    assert found[0] == first + next(k for k, word in enumerate(words) if word >> 32 - zero_bits == 0)


@pytest.mark.parametrize("group", [64, 100])
def test_pages(group):
    pages = np.zeros((4, 4096), np.uint8)
    pages[1] = RNG.integers(0, 256, 4096)
    pages[2] = np.arange(4096) & 15
    pages[3, 4095] = 1
    data = pages.reshape(-1)
    entropy, is_zero, counts = zeros(4), zeros(4, np.uint8), zeros(1024, np.uint32)
    run("pages", "page_entropy", 4 * group, group, bytes=data, entropy=entropy)
    run("pages", "page_is_zero", 4 * group, group, bytes=data, is_zero=is_zero)
    run("pages", "page_histogram", 4 * group, group, bytes=data, counts=counts)
    wanted = np.array([np.bincount(page, minlength=256) for page in pages])
    assert (counts.reshape(4, 256) == wanted).all()
    assert is_zero.tolist() == [1, 0, 0, 0]
    parts = wanted / 4096
    assert np.allclose(entropy, -(parts * np.log2(np.where(parts, parts, 1))).sum(1), atol=1e-4)


def test_search():
    data = np.frombuffer(b"abracadabra abracadabra", np.uint8)
    count, places = zeros(1, np.uint32), zeros(8, np.uint32)
    run("search", "find_pattern", 10, bytes=data, pattern=np.frombuffer(b"abra", np.uint8), count=count, places=places)
    assert count[0] == 4 and sorted(places[:4].tolist()) == [0, 7, 12, 19]
    run("search", "find_pattern", 10, bytes=data[:2], pattern=data[:5], count=count, places=places)
    assert count[0] == 4


def test_pages_of_ram():
    pages = np.zeros((6, 4096), np.uint8)
    pages[1] = RNG.integers(0, 256, 4096)
    pages[2] = np.arange(4096) & 15
    pages[3, 4095] = 1
    pages[4] = 255
    words, numbers = pages.reshape(-1).view(np.uint64), np.array([4, 0, 1, 3, 2], np.uint32)
    entropy, is_zero, counts = zeros(5), zeros(6, np.uint8), zeros(256, np.uint32)
    count = np.arange(4097)
    terms = (count * np.log2(np.maximum(count, 1))).astype(np.float32)
    program = pixel_cpu.loads(kernels.source("ram"))
    # Not by the reference, which would take its time for so many steps.
    with pixel_cpu.Device("cpu", isolated=False) as device:
        given = {"device": device, "words": words, "pages": numbers}
        program.kernel("entropy_of_pages").launch(5, **given, terms=terms, entropy=entropy)
        program.kernel("count_bytes_of_pages").launch(5, **given, counts=counts)
        program.kernel("zero_pages").launch(6, device=device, words=words, is_zero=is_zero)
    assert is_zero.tolist() == [1, 0, 0, 0, 0, 1]
    assert (counts == np.bincount(pages[numbers].ravel(), minlength=256)).all()
    parts = np.array([np.bincount(page, minlength=256) for page in pages[numbers]]) / 4096
    assert np.allclose(entropy, -(parts * np.log2(np.where(parts, parts, 1))).sum(1), atol=1e-4)
    assert entropy[:2].tolist() == [0, 0]


@pytest.mark.parametrize("pattern", [b"ab", b"abra", b"abracadabra", b"\0\0\0", b"a\xff", b"\xff\0", b"dabra ab"])
def test_search_in_words(pattern):
    text = b"abra\0cadabra abracadabra\0\0\0\0\0 \xff\xff\0 dabra abr"
    data = np.frombuffer(text.ljust(-(-len(text) // 8) * 8, b"\xff"), np.uint8)
    wanted = [at for at in range(len(data)) if data[at : at + len(pattern)].tobytes() == pattern]
    for anchor in range(len(pattern) - 1):
        count, places = zeros(1, np.uint32), zeros(40, np.uint32)
        given = {"words": data.view(np.uint64), "bytes": data, "pattern": np.frombuffer(pattern, np.uint8)}
        run("ram", "find_in_words", len(data) // 8, **given, anchor=anchor, count=count, places=places)
        assert sorted(places[: count[0]].tolist()) == wanted


def test_walks_through_linked_nodes():
    nodes, walks, most = 40, 70, 9
    following = RNG.integers(-1, nodes, (nodes, 4)).astype(np.int32)
    value, start = RNG.integers(-99, 99, nodes).astype(np.int32), RNG.integers(0, nodes, walks).astype(np.int32)
    start[0] = -1  # no node: a walk of none
    ways = RNG.integers(0, 1 << 32, walks, np.uint32)
    total, last = zeros(walks, np.int32), zeros(walks, np.int32)
    given = {"next": following.ravel(), "value": value, "start": start, "ways": ways, "total": total, "last": last}
    run("linked", "walk", 50, **given, most=most)
    node, at, sums = start.copy(), start.copy(), zeros(walks, np.int32)
    for step in range(most):
        on = node >= 0
        at[on] = node[on]
        sums[on] += value[node[on]]
        node[on] = following[node[on], ways[on] >> np.uint32(2 * step) & 3]
    assert (total == sums).all() and (last == at).all()
    assert (node < 0).any() and (node >= 0).any()
