"""Watching a network: flows as they come, captures, and what is said where there is none."""

from __future__ import annotations

import itertools
import socket

import pytest
from network_samples import ethernet, ipv4, mac_of, on_network, receive, sized, tcp, udp

from qemu_bridge.errors import UsageError
from qemu_bridge.network.frames import RST, SYN
from qemu_bridge.network.watch import capture_frames, follow_flows, read_flows, read_status


def frame(content, protocol=6):
    return ethernet(mac_of(1), mac_of(2), ipv4("10.77.0.1", "10.77.0.2", protocol, content))


def test_a_follower_hears_of_a_flow_when_it_begins_and_ends():
    with on_network("follow", "nobody-1", "nobody-2") as (a, _):
        following = follow_flows("follow")
        first = itertools.islice(following, 2)
        a.socket.sendall(sized(frame(udp(1, 2, b"x"), 17)))
        flow = next(first)
        assert (flow.protocol, flow.state, flow.destination.machine) == ("udp", "open", "nobody-2")
        a.socket.sendall(sized(frame(tcp(1, 2, SYN))) + sized(frame(tcp(1, 2, RST))))
        seen = list(itertools.islice((flow for flow in following if flow.protocol == "tcp"), 2))
        assert [flow.state for flow in seen] == ["open", "closed"]
        following.close()


def test_a_capture_ends_at_its_limit_or_after_its_time():
    with on_network("bounded", "nobody-1", "nobody-2") as (a, b):
        parts = []

        def write(data):
            parts.append(data)
            a.socket.sendall(sized(frame(udp(1, 2, b"x" * 1000), 17)))
            receive(b)

        assert not capture_frames("bounded", write, limit_bytes=20_000)
        assert 20_000 <= sum(map(len, parts)) < 30_000
        assert capture_frames("bounded", lambda data: None, seconds=0.2)


def test_what_a_killed_client_leaves_is_gone():
    with on_network("gone", "nobody-1") as (a,):
        following = follow_flows("gone")
        a.socket.sendall(sized(frame(tcp(1, 2, SYN))))
        next(following)
        assert read_status("gone").watchers == 1
        following.close()
        while read_status("gone").watchers:
            pass
        assert len(read_flows("gone").flows) == 1
        a.socket.shutdown(socket.SHUT_RDWR)


def test_a_network_that_is_not_there_is_refused_with_those_that_are():
    with on_network("there", "nobody-1"), pytest.raises(UsageError, match=r"no network 'elsewhere'; running: .*there"):
        read_flows("elsewhere")
