"""A tenant's place on a device."""

from gpu_hypervisor.engine.seat import take_seat
from pixel_cpu import Device


def test_a_seat_has_a_word_of_its_own_that_its_device_sees():
    with Device("cpu", memory=1 << 16, events=False) as device:
        one, other = take_seat("cpu", device), take_seat("cpu", device)
        one.stop[0] = 1
        assert other.stop[0] == 0 and device.is_shared(one.stop) and device.ledger.bytes == 0
        assert one.name == "cpu" and one.flight is None
