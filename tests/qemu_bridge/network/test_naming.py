"""Which socket belongs to an end of a flow, and machines that cannot be asked."""

from __future__ import annotations

import asyncio

import pytest
from network_samples import ethernet, ipv4, mac_of, tcp

from qemu_bridge.network.flows import End, FlowTable
from qemu_bridge.network.frames import ICMP, SYN, TCP, UDP, read_frame
from qemu_bridge.network.naming import MOST_WAITING, Namer, Sockets
from qemu_bridge.wire.network_records import Naming


def row(protocol, local, remote="0.0.0.0:0", pids=(7,)):
    return {"protocol": protocol, "local": local, "remote": remote, "pids": list(pids)}


def end(address, port):
    found = End("a", bytes(6))
    found.address, found.port = address, port
    return found


HERE, THERE = end("10.77.0.1", 80), end("10.77.0.2", 4000)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("tcp", "10.77.0.1:80", "10.77.0.2:4000")], (Naming.SOCKET, (7,))),
        ([row("tcp6", "[::ffff:10.77.0.1]:80", "[::ffff:10.77.0.2]:4000", (8, 9))], (Naming.SOCKET, (8, 9))),
        ([row("tcp6", "[::ffff:a4d:1]:80", "[::ffff:a4d:2]:4000")], (Naming.SOCKET, (7,))),
        ([row("tcp", "0.0.0.0:80")], (Naming.LISTENER, (7,))),
        ([row("tcp6", "[::]:80", "[::]:0")], (Naming.LISTENER, (7,))),
        # Not accepted yet: who listens will have it.
        ([row("tcp", "10.77.0.1:80", "10.77.0.2:4000", ()), row("tcp", "10.77.0.1:80")], (Naming.LISTENER, (7,))),
        ([row("tcp", "10.77.0.1:80", "10.77.0.2:4001"), row("tcp", "127.0.0.1:80")], None),
        ([row("udp", "0.0.0.0:80")], None),
        ([], None),
    ],
    ids=str,
)
def test_a_tcp_end_is_its_connection_else_who_listens(rows, expected):
    found = Sockets(rows).find(TCP, HERE, THERE)
    assert (found and (found.naming, found.pids)) == expected


def test_a_udp_end_is_a_socket_whether_connected_or_bound():
    assert Sockets([row("udp", "0.0.0.0:80")]).find(UDP, HERE, THERE).naming is Naming.SOCKET
    rows = [row("udp", "0.0.0.0:80", pids=(1,)), row("udp", "10.77.0.1:80", "10.77.0.2:4000", (2,))]
    assert Sockets(rows).find(UDP, HERE, THERE).pids == (2,)


def test_an_echo_is_of_the_raw_socket_whose_process_has_its_identifier():
    rows = [row("raw", "0.0.0.0:1", pids=(70000,)), row("raw", "0.0.0.0:1", pids=(5,)), row("raw", "0.0.0.0:6")]
    assert Sockets(rows).find(ICMP, end("10.77.0.1", 70000 & 0xFFFF), THERE).pids == (70000,)
    assert Sockets(rows).find(ICMP, end("10.77.0.1", 9), THERE) is None
    assert Sockets(rows[1:]).find(ICMP, end("10.77.0.1", 9), THERE).pids == (5,)


def make_flow(table, port=4000, machine="nobody"):
    frame = ethernet(mac_of(1), mac_of(2), ipv4("10.77.0.1", "10.77.0.2", 6, tcp(port, 80, SYN)))
    return table.add(read_frame(frame), machine, "", 60, 1.0)[0]


def test_a_machine_that_cannot_be_asked_leaves_its_flows_unknown():
    async def name():
        told = []
        namer, flow = Namer(told.append), make_flow(FlowTable())
        namer.want(flow)
        assert not flow.is_named and flow.ends[1].naming is Naming.UNKNOWN
        namer.forget("nobody")
        await namer.close()
        return flow, told

    flow, told = asyncio.run(name())
    assert told == [flow] and flow.is_named and flow.ends[0].naming is Naming.UNKNOWN


def test_more_flows_than_can_be_asked_about_stay_unknown_at_once():
    async def name():
        namer, table = Namer(lambda flow: None), FlowTable()
        flows = [make_flow(table, port) for port in range(MOST_WAITING + 10)]
        for flow in flows:
            namer.want(flow)
        waiting = sum(not flow.is_named for flow in flows)
        await namer.close()
        return waiting

    assert asyncio.run(name()) == MOST_WAITING
