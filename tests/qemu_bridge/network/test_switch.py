"""Where frames go, and what a port remembers."""

from __future__ import annotations

import random

import pytest
from network_samples import BROADCAST, ethernet, mac_of, sized

from qemu_bridge.errors import UsageError
from qemu_bridge.network.switch import BACKLOG_BYTES, MOST_ADDRESSES, MOST_MACHINES, Switch


class Output:
    """A transport that keeps what is written to it."""

    def __init__(self):
        self.data, self.waiting, self.is_aborted = b"", 0, False

    def write(self, data):
        self.data += data

    def get_write_buffer_size(self):
        return self.waiting

    def abort(self):
        self.is_aborted = True


def make(*machines):
    switch = Switch()
    return switch, [switch.join(machine, Output()) for machine in machines]


def send(switch, port, *frames):
    seen = []
    data = b"".join(map(sized, frames))
    assert switch.forward(port, memoryview(data), lambda *each: seen.append(each)) == len(data)
    return seen


def test_a_frame_goes_to_the_machine_that_has_its_address_and_a_broadcast_to_all_others():
    switch, (a, b, c) = make("a", "b", "c")
    frame, call = ethernet(mac_of(1), mac_of(2), b"x" * 50), ethernet(mac_of(1), BROADCAST, b"y" * 50)
    assert send(switch, a, frame, call) == [(a, frame, b), (a, call, None)]
    assert b.output.data == sized(frame) + sized(call) and c.output.data == sized(call) and not a.output.data
    assert (a.sent_frames, a.sent_bytes, b.received_frames, b.received_bytes) == (2, 128, 2, 128)


def test_half_a_frame_waits_for_its_other_half():
    switch, (a, b) = make("a", "b")
    whole = sized(ethernet(mac_of(1), mac_of(2), b"x" * 50))
    for cut in range(len(whole)):
        assert switch.forward(a, memoryview(whole[:cut]), lambda *_: None) == 0
    assert switch.forward(a, memoryview(whole + whole[:9]), lambda *_: None) == len(whole) and b.received_frames == 1


def test_an_address_is_learned_and_moves_but_a_machines_own_is_never_taken():
    switch, (a, b, c) = make("a", "b", "c")
    inner = b"\x02" + bytes(5)
    send(switch, a, ethernet(inner, mac_of(2), b""))
    assert send(switch, b, ethernet(mac_of(2), inner, b""))[0][2] is a
    send(switch, c, ethernet(inner, mac_of(2), b""), ethernet(mac_of(1), mac_of(2), b""))
    assert send(switch, b, ethernet(mac_of(2), inner, b""))[0][2] is c
    assert send(switch, b, ethernet(mac_of(2), mac_of(1), b""))[0][2] is a


def test_made_up_addresses_displace_those_of_the_same_port_only():
    switch, (a, b) = make("a", "b")
    kept = b"\x02" + bytes(5)
    send(switch, b, ethernet(kept, mac_of(1), b""))
    numbers = random.Random(1)
    for _ in range(5000):
        send(switch, a, ethernet(numbers.randbytes(6), mac_of(2), b""))
    assert len(a.addresses) == MOST_ADDRESSES and len(switch._by_address) == MOST_ADDRESSES + 3
    assert send(switch, a, ethernet(mac_of(1), kept, b""))[0][2] is b


def test_a_port_that_takes_nothing_loses_frames_and_others_do_not():
    switch, (a, b, c) = make("a", "b", "c")
    b.output.waiting = BACKLOG_BYTES + 1
    send(switch, a, ethernet(mac_of(1), BROADCAST, b"x"))
    assert not b.output.data and b.dropped == 1 and c.received_frames == 1


def test_a_short_frame_is_counted_and_an_impossible_length_refused():
    switch, (a, b) = make("a", "b")
    assert not send(switch, a, b"", b"x" * 13) and a.malformed == 2 and not b.output.data
    with pytest.raises(ValueError, match="4294967295"):
        switch.forward(a, memoryview(b"\xff" * 8), lambda *_: None)


def test_a_machine_has_its_old_number_again_and_a_full_network_refuses_in_words():
    switch, (a, b) = make("a", "b")
    switch.leave(a)
    assert switch.join("c", Output()).place.number == 3
    again = switch.join("a", Output())
    assert again.place.number == 1 and again.place.address == "10.77.0.1/24"
    newer = switch.join("a", Output())
    assert newer.place.number == 1 and again.output.is_aborted
    switch.leave(again)
    assert switch.ports[1] is newer
    for number in range(len(switch.ports), MOST_MACHINES):
        switch.join(f"m{number}", Output())
    assert len({port.place.mac for port in switch.ports.values()}) == MOST_MACHINES
    with pytest.raises(UsageError, match="stop one or use another network"):
        switch.join("late", Output())
    switch.leave(b)
    assert switch.join("late", Output()).place.number == 2


def test_a_number_that_is_kept_for_a_machine_is_given_to_no_other():
    switch = Switch()
    switch.keep("a", 1), switch.keep("nobody", 251)
    assert switch.join("b", Output()).place.number == 2 and switch.join("a", Output()).place.number == 1
