"""What machines send each other, and for how long it is news; the oracle is the capture of the network itself."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass

import pytest
from support import booted, wait_until

from qemu_bridge.network.watch import capture_frames, read_status
from qemu_bridge.wire.network_records import Flow, FlowEnd, Naming
from viewer.sources import flows
from viewer.sources.flows import FADE_S, FlowWatch, RecentFlows

NOW = 1e9


def end(machine, size=0, process="", naming=None, port=80):
    naming = naming or (Naming.SOCKET if process else Naming.PENDING)
    return FlowEnd(machine, "10.0.0.1", port, naming, process, (7,) if process else (), 1, size)


def flow(number, source, destination, last=NOW):
    return Flow(number, "tcp", source, destination, "open", NOW - 100, last)


def test_each_direction_is_an_arc_that_fades():
    recent = RecentFlows(["a", "b"])
    assert recent.add("lab", [flow(1, end("a", 3000, "wget"), end("b", 500, "httpd"))], NOW)
    found = {(arc.sender, arc.receiver): arc for arc in recent.arcs(NOW)}
    assert found["a", "b"].bytes == 3000 and found["a", "b"].words == ("wget → httpd: 2.9 KiB",)
    assert found["b", "a"].bytes == 500 and found["b", "a"].strength == 1
    assert {arc.strength for arc in recent.arcs(NOW + FADE_S / 4)} == {0.75}
    assert recent.arcs(NOW + FADE_S) == []


def test_only_what_is_sent_since_the_last_look_is_news():
    recent = RecentFlows(["a", "b"])
    old = flow(1, end("a", 3000, "wget"), end("b", 500, "httpd"), NOW - FADE_S - 1)
    assert not recent.add("lab", [old], NOW) and recent.arcs(NOW) == []
    more = flow(1, end("a", 3100, "wget"), end("b", 500, "httpd"), NOW + 1)
    assert recent.add("lab", [more], NOW + 1)
    assert [(arc.sender, arc.bytes) for arc in recent.arcs(NOW + 1)] == [("a", 100)]
    assert not recent.add("lab", [more], NOW + 1.2)
    assert [arc.bytes for arc in recent.arcs(NOW + 1.2)] == [100]


def test_a_process_that_is_found_later_is_named_then():
    recent = RecentFlows(["a", "b"])
    recent.add("lab", [flow(1, end("a", 10), end("b"))], NOW)
    assert recent.arcs(NOW)[0].words == ("… → …: 10 B",)
    recent.add("lab", [flow(1, end("a", 10, "nc"), end("b", 0, naming=Naming.KERNEL))], NOW + 0.5)
    assert recent.arcs(NOW + 0.5)[0].words == ("nc → kernel: 10 B",)


def test_others_and_what_kernels_say_by_themselves_are_no_arcs():
    recent = RecentFlows(["a", "b"])
    kernels = [end(name, 60, naming=Naming.KERNEL) for name in ("a", "b")]
    strangers = [flow(2, end("a", 9, "x"), end("c", 9, "y")), flow(3, end("a", 9, "x"), end("", 9))]
    assert not recent.add("lab", [flow(1, *kernels), *strangers], NOW)
    many = [flow(number, end("a", number, f"p{number}"), end("b")) for number in range(4, 10)]
    recent.add("lab", many, NOW)
    (arc,) = recent.arcs(NOW)
    assert arc.bytes == sum(range(4, 10)) and arc.words[0] == "p9 → …: 9 B" and arc.words[-1] == "and 3 more"


@dataclass
class Capture:
    """A pcapng file as it comes: (interface name, frame) of its enhanced packet blocks (pcapng, draft-ietf-opsawg-pcapng)."""

    data: bytes = b""

    def write(self, data):
        self.data += data

    def frames(self):
        names, at = [], 0
        while at + 12 <= len(self.data):
            kind, length = struct.unpack_from("<II", self.data, at)
            body = self.data[at + 8 : at + length - 4]
            if kind == 1:
                code, size = struct.unpack_from("<HH", body, 8)
                assert code == 2  # if_name comes first
                names.append(body[12 : 12 + size].decode())
            elif kind == 6:
                number, _, _, size, _ = struct.unpack_from("<IIIII", body)
                yield names[number], body[20 : 20 + size]
            at += length


def is_to_or_from(frame, port):
    """Whether an Ethernet frame is TCP over IPv4 with `port` at either end."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return False
    start = 14 + 4 * (frame[14] & 15)
    return port in struct.unpack_from(">HH", frame, start)


@pytest.fixture(scope="module")
def pair(image):
    with (
        booted("here", image, net="arcs", memory=96 << 20) as here,
        booted("there", image, net="arcs", memory=96 << 20) as there,
    ):
        there.exec("nc -lk -p 5000 -e cat >/dev/null 2>&1 </dev/null & sleep 1")
        yield here, there


@pytest.mark.guest
def test_the_bytes_of_an_arc_are_those_that_the_capture_of_its_network_holds(pair, monkeypatch):
    here, _ = pair
    # On a busy host the connection may pause for longer than anything is news.
    monkeypatch.setattr(flows, "FADE_S", 600.0)
    watch, capture = FlowWatch(["here", "there"], lambda: None), Capture()
    watch.look()
    # It ends with the network.
    threading.Thread(target=capture_frames, args=("arcs", capture.write), daemon=True).start()
    wait_until(lambda: read_status("arcs").watchers)
    words = "(head -c 40000 /dev/zero; sleep 2) | nc 10.77.0.2 5000 >/dev/null"
    talk = threading.Thread(target=here.exec, args=(words,))
    talk.start()

    def seen():
        watch.look()
        return {arc.sender: arc.bytes for arc in watch.arcs()}

    def captured(name):
        return sum(len(frame) for sender, frame in capture.frames() if sender == name and is_to_or_from(frame, 5000))

    wait_until(lambda: len(seen()) == 2 and min(seen().values()) > 40_000)
    talk.join()
    wait_until(lambda: seen() == {name: captured(name) for name in ("here", "there")})
    (forth,) = [arc for arc in watch.arcs() if arc.sender == "here"]
    assert forth.receiver == "there" and forth.words[0].startswith("nc → ")


@pytest.mark.guest
def test_a_watch_wakes_who_looks_and_follows_networks_of_several_of_its_machines_only(pair):
    here, _ = pair
    news = threading.Event()
    watch, stranger = FlowWatch(["here", "there"], news.set), FlowWatch(["here", "elsewhere"], lambda: None)
    watch.start()
    try:
        here.exec("echo hello | nc 10.77.0.2 5000 -w 1")
        assert news.wait(60)
        assert not stranger.look() and stranger.arcs() == []
    finally:
        watch.stop()
