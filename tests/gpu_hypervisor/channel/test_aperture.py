"""The aperture's memory: exact to the byte, zeroed, never another's, never two owners."""

import itertools
import os
import random

import pytest

from gpu_hypervisor.channel.aperture import ALIGNMENT, Aperture
from gpu_hypervisor.channel.messages import Element, Memory
from gpu_hypervisor.errors import BusyHandleError, HandleError, QuotaError

SIZE = 1 << 20


@pytest.fixture
def aperture(tmp_path):
    path = tmp_path / "aperture"
    path.write_bytes(b"")
    os.truncate(path, SIZE)
    with Aperture(path, SIZE, SIZE - 100) as found:
        yield found


def whole(block):
    return Memory(block.handle, 0, block.size, Element.U8)


def test_the_limit_holds_to_the_byte(aperture):
    first = aperture.allocate(1000)
    with pytest.raises(QuotaError) as error:
        aperture.allocate(SIZE - 1099)
    assert error.value.left == SIZE - 1100
    second = aperture.allocate(SIZE - 1100 - 64)
    assert aperture.used_bytes == SIZE - 164
    for block in (first, second):
        aperture.free(block.handle)
    assert aperture.used_bytes == 0
    aperture.free(aperture.allocate(SIZE - 100).handle)


def test_blocks_lie_apart_and_are_aligned(aperture):
    chance, held = random.Random(1), []
    for _ in range(400):
        if held and chance.random() < 0.4:
            aperture.free(held.pop(chance.randrange(len(held))).handle)
            continue
        try:
            held.append(aperture.allocate(chance.choice((0, 1, 63, 64, 65, 5000, 60000))))
        except QuotaError:
            aperture.free(held.pop().handle)
        places = sorted((block.offset, block.offset + block.size) for block in held)
        assert all(offset % ALIGNMENT == 0 and end <= SIZE for offset, end in places)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
        assert aperture.used_bytes == sum(block.size for block in held)


def test_memory_is_zeroed_when_it_is_given_and_gone_from_the_host_when_it_is_taken_back(aperture):
    block = aperture.allocate(300_000)
    aperture.view(whole(block))[:] = 255
    held = aperture.path.stat().st_blocks
    aperture.free(block.handle)
    assert aperture.path.stat().st_blocks < held
    again = aperture.allocate(300_000)
    assert again.offset == block.offset and not aperture.view(whole(again)).any()


def test_a_view_is_the_file_itself(aperture):
    block = aperture.allocate(4096)
    aperture.view(Memory(block.handle, 16, 4, Element.U8))[:] = (1, 2, 3, 4)
    assert os.pread(aperture.descriptor, 4, block.offset + 16) == b"\1\2\3\4"


@pytest.mark.parametrize(("offset", "size"), [(0, 101), (101, 0), (100, 1), (1 << 63, 1), (1, (1 << 64) - 1)])
def test_nothing_outside_of_a_block_is_seen(aperture, offset, size):
    block = aperture.allocate(100)
    with pytest.raises(HandleError):
        aperture.view(Memory(block.handle, offset, size, Element.U8))


def test_what_was_freed_is_no_memory(aperture):
    block = aperture.allocate(100)
    aperture.free(block.handle)
    for use in (aperture.free, lambda handle: aperture.view(whole(block)), lambda handle: aperture.take({handle})):
        with pytest.raises(HandleError, match="ALLOC_MEMORY"):
            use(block.handle)


def test_what_a_job_uses_stays_until_it_ends(aperture):
    block = aperture.allocate(100)
    aperture.take({block.handle})
    with pytest.raises(BusyHandleError):
        aperture.free(block.handle)
    aperture.give_up_all()
    with pytest.raises(HandleError):
        aperture.view(whole(block))
    assert aperture.used_bytes == 100 and aperture.allocate(100).offset != block.offset
    aperture.give_back({block.handle})
    assert aperture.used_bytes == 100


def test_pieces_are_bounded(aperture):
    for _ in range(1024):
        aperture.allocate(0)
    with pytest.raises(QuotaError, match="1024 pieces"):
        aperture.allocate(0)
