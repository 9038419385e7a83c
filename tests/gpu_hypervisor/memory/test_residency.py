"""Which buffers are on the device, against a list that is searched."""

import random

import pytest

from gpu_hypervisor.errors import QuotaError
from gpu_hypervisor.memory import Buffer, Residency
from pixel_cpu import Device


@pytest.fixture(scope="module")
def device():
    with Device("reference") as found:
        yield found


def test_the_buffer_that_was_unused_longest_goes_first(device):
    residency = Residency(300)
    buffers = [Buffer(number, 100, device) for number in range(3)]
    for buffer in buffers:
        residency.add(buffer)
    residency.use(buffers[0])
    assert residency.make_room(100) == [buffers[1]] and residency.bytes == 200
    residency.use(buffers[1])  # there is room
    buffers[2].pins = 1
    assert residency.make_room(200) == [buffers[0], buffers[1]]
    with pytest.raises(QuotaError, match="201 bytes are wanted, and jobs use all but 200 of the device's 300") as error:
        residency.make_room(201)
    assert (error.value.wanted, error.value.left) == (201, 200)
    assert (residency.evictions, residency.evicted_bytes, residency.restores) == (3, 300, 1)


def test_bytes_are_exact_whatever_happens(device):
    chance, residency = random.Random(2), Residency(1000)
    buffers, taken = [], []
    for number in range(1000):
        action = chance.random()
        try:
            if action < 0.3:
                size = chance.randint(1, 300)
                residency.make_room(size)
                buffers.append(Buffer(number, size, device))
                residency.add(buffers[-1])
            elif action < 0.6 and buffers:
                residency.use(chance.choice(buffers))
            elif action < 0.7 and buffers:
                residency.remove(buffers.pop(chance.randrange(len(buffers))))
            elif action < 0.8:
                size = chance.randint(1, 100)
                residency.take(size)
                taken.append(size)
            elif taken:
                residency.give_back(taken.pop())
        except QuotaError:
            pass
        here = sum(buffer.size for buffer in buffers if buffer.array is not None)
        assert residency.bytes == here + sum(taken) <= 1000
    assert residency.evictions > 50 and residency.restores > 10
