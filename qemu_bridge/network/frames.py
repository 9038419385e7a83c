"""What an Ethernet frame carries, as far as flows need it: from whom to whom, payload, TCP's flags and sequence number.

>>> packet = read_frame(frame)
>>> packet.protocol, name_ends(packet)
(6, (('10.77.0.1', 40312), ('10.77.0.2', 80)))
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

MINIMUM_BYTES = 14
"""An Ethernet header."""
MAXIMUM_BYTES = 4096 + 65536
"""What a QEMU sends at most (``NET_BUFSIZE`` of its ``net/net.h``)."""
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
NOT_IP = 1 << 16
"""Added to the EtherType of what is no IP packet."""
ARP = NOT_IP + 0x0806
FIN, SYN, RST, ACK = 1, 2, 4, 16

_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp6", ARP: "arp"}
_ECHO = {ICMP: (8, 0), ICMP6: (128, 129)}
_VLANS = (b"\x81\x00", b"\x88\xa8")
_MOST_VLANS = 2
_IPV6_EXTENSIONS = (0, 43, 60)
_IPV6_FRAGMENT = 44
_MOST_EXTENSIONS = 8


class Packet(NamedTuple):
    """One frame's packet.

    Attributes:
        protocol: of IP, or `NOT_IP` plus the EtherType.
        source, destination: address and port (of ICMP the identifier of an echo) as they are on the wire.
        payload: bytes that TCP, UDP or ICMP carries; 0 for other protocols.
        flags, sequence: of TCP, else 0.
    """

    protocol: int
    source: bytes
    destination: bytes
    payload: int = 0
    flags: int = 0
    sequence: int = 0


def protocol_name(protocol: int) -> str:
    """A protocol in a word: ``tcp``, ``ip-47``, ``0x88cc``."""
    if (name := _NAMES.get(protocol)) is not None:
        return name
    return f"{protocol - NOT_IP:#06x}" if protocol >= NOT_IP else f"ip-{protocol}"


def name_end(end: bytes) -> tuple[str, int]:
    """The address in words and the port of a packet's `source` or `destination`."""
    address, port = end[:-2], int.from_bytes(end[-2:], "big")
    if len(address) == 6:
        return address.hex(":"), port
    return str(ipaddress.ip_address(address)), port


def is_group(end: bytes) -> bool:
    """Whether an end is no single machine: a multicast or broadcast address."""
    if len(end) == 18:
        return end[0] == 0xFF
    return end[0] & 1 == 1 if len(end) == 8 else 224 <= end[0] < 240 or end[:4] == b"\xff\xff\xff\xff"


def read_frame(frame: bytes) -> Packet:
    """The packet in a frame of at least `MINIMUM_BYTES`; a damaged one counts as the frame of its EtherType that it is."""
    at = 12
    for _ in range(_MOST_VLANS):
        if frame[at : at + 2] not in _VLANS:
            break
        at += 4
    kind = frame[at : at + 2]
    packet = None
    if kind == b"\x08\x00":
        packet = _read_ipv4(frame, at + 2)
    elif kind == b"\x86\xdd":
        packet = _read_ipv6(frame, at + 2)
    if packet is None:
        return Packet(NOT_IP + int.from_bytes(kind, "big"), frame[6:12] + b"\0\0", frame[:6] + b"\0\0")
    return packet


def _read_ipv4(frame: bytes, at: int) -> Packet | None:
    if len(frame) < at + 20 or frame[at] >> 4 != 4:
        return None
    inner = at + (frame[at] & 15) * 4
    # Frames are padded; the packet's own length counts.
    end = min(len(frame), at + (frame[at + 2] << 8 | frame[at + 3]))
    source, destination = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
    is_later_fragment = (frame[at + 6] & 0x1F) or frame[at + 7]
    if is_later_fragment or inner < at + 20:
        return Packet(frame[at + 9], source + b"\0\0", destination + b"\0\0")
    return _read_inner(frame, inner, end, frame[at + 9], source, destination)


def _read_ipv6(frame: bytes, at: int) -> Packet | None:
    if len(frame) < at + 40 or frame[at] >> 4 != 6:
        return None
    end = min(len(frame), at + 40 + (frame[at + 4] << 8 | frame[at + 5]))
    source, destination = frame[at + 8 : at + 24], frame[at + 24 : at + 40]
    protocol, inner = frame[at + 6], at + 40
    for _ in range(_MOST_EXTENSIONS):
        if inner + 8 > end:
            break
        if protocol in _IPV6_EXTENSIONS:
            protocol, inner = frame[inner], inner + 8 + frame[inner + 1] * 8
        elif protocol == _IPV6_FRAGMENT:
            if (frame[inner + 2] << 8 | frame[inner + 3]) & 0xFFF8:
                return Packet(frame[inner], source + b"\0\0", destination + b"\0\0")
            protocol, inner = frame[inner], inner + 8
        else:
            break
    return _read_inner(frame, inner, end, protocol, source, destination)


def _read_inner(frame: bytes, at: int, end: int, protocol: int, source: bytes, destination: bytes) -> Packet:
    if protocol == TCP and end >= at + 20:
        start = at + (frame[at + 12] >> 4) * 4
        sequence = int.from_bytes(frame[at + 4 : at + 8], "big")
        ends = source + frame[at : at + 2], destination + frame[at + 2 : at + 4]
        return Packet(TCP, *ends, max(0, end - start), frame[at + 13], sequence)
    if protocol == UDP and end >= at + 8:
        return Packet(UDP, source + frame[at : at + 2], destination + frame[at + 2 : at + 4], end - at - 8)
    if protocol in _ECHO and end >= at + 8 and frame[at] in _ECHO[protocol]:
        identifier = frame[at + 4 : at + 6]
        return Packet(protocol, source + identifier, destination + identifier, end - at)
    return Packet(protocol, source + b"\0\0", destination + b"\0\0")
