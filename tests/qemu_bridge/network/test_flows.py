"""Flows: counting, pairing requests with replies, and bounds."""

from __future__ import annotations

import random

from network_samples import ethernet, ipv4, mac_of, tcp, udp

from qemu_bridge.network.flows import IDLE_S, MOST_CALLS, MOST_FLOWS, FlowTable
from qemu_bridge.network.frames import ACK, FIN, RST, SYN, read_frame

HOSTS = {1: "10.77.0.1", 2: "10.77.0.2"}


def packet(source, destination, content, protocol=6):
    return read_frame(
        ethernet(mac_of(source), mac_of(destination), ipv4(HOSTS[source], HOSTS[destination], protocol, content))
    )


class Talk:
    """A connection between a at port 4000 and b at port 80, seen by `table`."""

    def __init__(self, table):
        self.table, self.now = table, 1000.0
        self.sequences = {1: 1, 2: 1}

    def say(self, source, content=b"", flags=ACK, after_s=0.0, again=False):
        self.now += after_s
        ports = (4000, 80) if source == 1 else (80, 4000)
        sequence = self.sequences[source] - (len(content) if again else 0)
        if not again:
            self.sequences[source] += len(content) + bool(flags & (SYN | FIN))
        found = packet(source, 3 - source, tcp(*ports, flags, sequence, content))
        names = {1: "a", 2: "b"}
        return self.table.add(found, names[source], names[3 - source], 54 + len(content), self.now)


def test_both_directions_are_one_flow_that_ends_with_both_fins():
    talk = Talk(FlowTable())
    flow, is_new = talk.say(1, flags=SYN)
    assert is_new and talk.say(2, flags=SYN | ACK) == (flow, False)
    for source, flags in ((1, FIN | ACK), (2, ACK), (2, FIN | ACK)):
        assert flow.is_open
        talk.say(source, flags=flags)
    record = flow.to_record()
    assert record.state == "closed" and (record.source.machine, record.destination.machine) == ("a", "b")
    assert (record.source.frames, record.destination.frames) == (2, 3) and record.source.bytes == 2 * 54
    assert (record.source.address, record.source.port, record.destination.port) == ("10.77.0.1", 4000, 80)
    # The same ports again are another connection.
    assert talk.say(1, flags=SYN)[1] and len(talk.table) == 2


def test_a_reset_ends_a_flow_and_what_still_comes_belongs_to_it():
    talk = Talk(FlowTable())
    flow, _ = talk.say(1, flags=SYN)
    talk.say(2, flags=RST | ACK)
    assert not flow.is_open and talk.say(1) == (flow, False)


def test_a_call_is_a_request_and_the_reply_that_follows_with_its_latency():
    talk = Talk(FlowTable())
    # A greeting of the server is no reply.
    flow, _ = talk.say(1, flags=SYN)
    talk.say(2, b"hello")
    for round_number in range(3):
        talk.say(1, b"x" * 100, after_s=1)
        talk.say(1, b"x" * 20, after_s=0.5)
        talk.say(2, after_s=0.1)
        talk.say(2, b"y" * 7, after_s=0.25 + round_number)
        talk.say(2, b"y" * 3, after_s=0.5)
    record = flow.to_record()
    assert record.call_count == 3
    assert [(call.request_bytes, call.reply_bytes) for call in record.calls] == [(120, 10)] * 3
    assert [round(call.latency_s, 3) for call in record.calls] == [0.35, 1.35, 2.35]
    assert round(record.calls[0].duration_s, 3) == 1.35 and record.calls[0].time == 1001.0
    assert record.latency_p50_s == record.calls[1].latency_s and record.latency_p99_s == record.calls[2].latency_s


def test_a_retransmission_is_no_second_request():
    talk = Talk(FlowTable())
    flow, _ = talk.say(1, flags=SYN)
    talk.say(1, b"abc")
    talk.say(1, b"abc", again=True)
    talk.say(2, b"ok")
    talk.say(1, b"abc", again=True)
    talk.say(2, b"ok", again=True)
    record = flow.to_record()
    assert record.retransmitted == 3
    assert [(call.request_bytes, call.reply_bytes) for call in record.calls] == [(3, 2)]


def test_sequence_numbers_that_wrap_are_new_bytes():
    table = FlowTable()
    for sequence, content in ((0xFFFFFFFD, b"abc"), (0, b"def")):
        flow, _ = table.add(packet(1, 2, tcp(1, 2, ACK, sequence, content)), "a", "b", 60, 1.0)
    table.add(packet(2, 1, tcp(2, 1, ACK, 5, b"ok")), "b", "a", 60, 2.0)
    assert flow.retransmitted == 0 and flow.calls[0].request_bytes == 6


def test_a_flow_without_a_connection_ends_when_it_is_idle():
    table = FlowTable()
    question = packet(1, 2, udp(5000, 53, b"who"), 17)
    flow, _ = table.add(question, "a", "", 60, 100.0)
    table.add(packet(2, 1, udp(53, 5000, b"me"), 17), "b", "a", 60, 100.5)
    assert flow.ends[1].machine == "b" and flow.calls[0].latency_s == 0.5
    assert not table.close_idle(100.5 + IDLE_S) and table.close_idle(101 + IDLE_S) == [flow] and not flow.is_open
    assert table.add(question, "a", "b", 60, 102 + IDLE_S)[1]


def test_a_machine_that_makes_up_flows_displaces_only_its_own():
    table, numbers = FlowTable(), random.Random(3)
    kept, _ = table.add(packet(2, 1, tcp(7, 8, SYN)), "b", "a", 60, 1.0)
    for number in range(3 * MOST_FLOWS):
        table.add(packet(1, 2, tcp(number, numbers.randrange(65536), SYN)), "a", "b", 60, 2.0)
    assert len(table) == MOST_FLOWS + 1 and table.forgotten == 2 * MOST_FLOWS
    assert len(table._by_ends) == 2 * (MOST_FLOWS + 1) and kept in list(table)
    assert [flow.number for flow in table] == sorted(flow.number for flow in table)


def test_calls_that_are_remembered_are_few_and_all_are_counted():
    talk = Talk(FlowTable())
    for _ in range(100):
        talk.say(1, b"x")
        flow, _ = talk.say(2, b"y")
    assert flow.count == 100 and len(flow.calls) == MOST_CALLS
