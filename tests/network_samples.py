"""Frames made by hand, and machines on a network that are nothing but a socket."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

from qemu_bridge.network.place import join
from qemu_bridge.network.switch import place_of

BROADCAST = b"\xff" * 6


def mac_of(number):
    return bytes.fromhex(place_of(number).mac.replace(":", ""))


def ethernet(source, destination, content, kind=0x0800):
    return destination + source + struct.pack(">H", kind) + content


def ipv4(source, destination, protocol, content, fragment=0):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 0, fragment, 64, protocol, 0) + addresses + content


def ipv6(source, destination, protocol, content):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack(">IHBB", 6 << 28, len(content), protocol, 64) + addresses + content


def tcp(source, destination, flags=16, sequence=1, content=b""):
    return struct.pack(">HHIIBBHHH", source, destination, sequence, 0, 5 << 4, flags, 0, 0, 0) + content


def udp(source, destination, content=b""):
    return struct.pack(">HHHH", source, destination, 8 + len(content), 0) + content


def sized(frame):
    return struct.pack(">I", len(frame)) + frame


@contextlib.contextmanager
def on_network(network, *machines):
    """The links of machines that have no QEMU: the test sends and receives their frames."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(join(network, machine)) for machine in machines]
        for link in links:
            link.socket.settimeout(60)
        yield links


def receive(link):
    """The next frame that a machine gets."""

    def exactly(count):
        data = b""
        while len(data) < count:
            more = link.socket.recv(count - len(data))
            assert more, "the switch closed the connection"
            data += more
        return data

    return exactly(int.from_bytes(exactly(4), "big"))
