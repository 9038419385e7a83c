"""The switch's process, faced with machines and clients that misbehave: it answers the others, and forgets what is gone."""

from __future__ import annotations

import os
import random
import socket

import pytest
from network_samples import BROADCAST, ethernet, ipv4, mac_of, on_network, receive, sized, tcp
from support import wait_until

from qemu_bridge.host.processes import private_bytes
from qemu_bridge.network.place import socket_path
from qemu_bridge.network.service import MOST_REQUEST_BYTES, MOST_WATCHERS, WATCHER_BACKLOG_BYTES
from qemu_bridge.network.switch import BACKLOG_BYTES
from qemu_bridge.network.watch import capture_frames, follow_flows, read_flows, read_status


def connect(network):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(os.fspath(socket_path(network)))
    return connection


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "request_line",
    [b"\n", b"{}\n", b'{"type":"fly"}\n', b'{"type":"join"}\n', b"\xff\xfe\n", b"[" * 4000 + b"\n", b"x" * (MOST_REQUEST_BYTES + 10)],
    ids=["empty", "no type", "unknown type", "no machine", "not text", "deep", "endless"],
)  # fmt: skip
def test_what_is_no_request_is_refused_in_words(request_line):
    with on_network("refusing", "nobody"), connect("refusing") as connection:
        connection.sendall(request_line)
        answer = read_all(connection)
        assert b'"type":"refused"' in answer and b"docs/protocol.md" in answer


def test_a_lying_length_ends_that_machines_connection_and_no_other():
    with on_network("lying", "a", "b", "c") as (a, b, c):
        a.socket.sendall(b"\xff\xff\xff\xff" + b"x" * 100)
        assert not a.socket.recv(1)
        wait_until(lambda: [port.machine for port in read_status("lying").ports] == ["b", "c"])
        frame = ethernet(mac_of(2), BROADCAST, b"still there")
        b.socket.sendall(sized(frame))
        assert receive(c) == frame


def test_random_frames_from_one_machine_neither_stop_nor_grow_the_switch():
    numbers = random.Random(12)
    with on_network("garbage", "a", "b", "c") as (a, _, c):

        def throw(count):
            for _ in range(count):
                size = numbers.randrange(120)
                # Half of them look like IP.
                head = mac_of(2) + numbers.randbytes(6) + numbers.choice((b"\x08\x00\x45", b"\x86\xdd\x60", b""))
                a.socket.sendall(sized((head + numbers.randbytes(120))[:size]))
            last = ethernet(mac_of(1), mac_of(3), b"the last of them" * 4)
            a.socket.sendall(sized(last))
            while receive(c) != last:
                pass

        throw(3000)
        status = read_status("garbage")
        before = private_bytes(status.pid)
        throw(12_000)
        after = read_status("garbage")
        assert private_bytes(status.pid) - before < 8 << 20 and after.flows <= 3 * 512
        sender = after.ports[0]
        assert sender.malformed > 0 and sender.sent_frames + sender.malformed == 15_002
        assert len(read_flows("garbage").flows) == after.flows


def test_a_machine_that_takes_nothing_loses_frames_and_memory_stays_flat():
    with on_network("paused", "a", "b", "c") as (a, _, c):
        frame = ethernet(mac_of(1), BROADCAST, b"x" * 1400)
        count = 4 * (BACKLOG_BYTES + (1 << 20)) // len(frame)
        pid = read_status("paused").pid
        before = private_bytes(pid)
        for _ in range(count):
            # The third machine keeps up; the second reads nothing, as when its guest is paused.
            a.socket.sendall(sized(frame))
            assert receive(c) == frame
        ports = {port.machine: port for port in read_status("paused").ports}
        assert ports["b"].dropped > 0 and ports["c"].dropped == 0 and ports["c"].received_frames == count
        assert private_bytes(pid) - before < 8 << 20


def test_watchers_that_do_not_read_cost_a_bounded_amount_and_nobody_else_notices():
    with on_network("slow", "a", "b") as (a, b), connect("slow") as capture:
        following = follow_flows("slow")
        capture.sendall(b'{"type":"capture"}\n')
        wait_until(lambda: read_status("slow").watchers)
        frame = ethernet(mac_of(1), mac_of(2), b"x" * 60_000)
        pid = read_status("slow").pid
        before = private_bytes(pid)
        for _ in range(3 * WATCHER_BACKLOG_BYTES // len(frame)):
            a.socket.sendall(sized(frame))
            assert receive(b) == frame
        assert private_bytes(pid) - before < 2 * WATCHER_BACKLOG_BYTES
        # It gets what waited for it, and how much is missing.
        capture.shutdown(socket.SHUT_WR)
        assert len(read_all(capture)) < 2 * WATCHER_BACKLOG_BYTES
        following.close()


def test_more_watchers_than_there_may_be_are_refused_and_places_become_free():
    with on_network("crowded", "a"):
        connections = [connect("crowded") for _ in range(MOST_WATCHERS)]
        for connection in connections:
            connection.sendall(b'{"type":"follow"}\n')
            assert b"accepted" in connection.recv(100)
        with connect("crowded") as late:
            late.sendall(b'{"type":"capture"}\n')
            assert b"end one of them" in read_all(late)
        for connection in connections:
            connection.close()
        wait_until(lambda: not read_status("crowded").watchers)
        assert capture_frames("crowded", lambda data: None, seconds=0.1)


def test_a_machine_that_vanishes_is_forgotten_and_comes_back_in_its_place():
    with on_network("vanish", "a", "b") as (a, _):
        # In the middle of a frame.
        a.socket.sendall(sized(ethernet(mac_of(1), mac_of(2), ipv4("10.77.0.1", "10.77.0.2", 6, tcp(1, 2))))[:30])
        a.socket.close()
        wait_until(lambda: len(read_status("vanish").ports) == 1)
        with on_network("vanish", "a") as (again,):
            assert again.place == a.place


def test_a_socket_that_was_removed_is_made_again():
    with on_network("cleaned", "a") as (a,):
        socket_path("cleaned").unlink()
        wait_until(socket_path("cleaned").exists)
        with on_network("cleaned", "b") as (b,):
            frame = ethernet(mac_of(1), mac_of(2), b"found again")
            a.socket.sendall(sized(frame))
            assert receive(b) == frame


def test_a_machine_at_whose_socket_nobody_listens_is_refused_in_words(tmp_path):
    with on_network("deaf", "a"), connect("deaf") as connection:
        connection.sendall(b'{"type":"join","machine":"b","socket":"%s"}\n' % os.fsencode(tmp_path / "none"))
        answer = read_all(connection)
        assert b'"type":"refused"' in answer and b"is 'b' running?" in answer
        assert [port.machine for port in read_status("deaf").ports] == ["a"]
