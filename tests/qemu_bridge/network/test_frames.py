"""What a frame carries, also where it lies about it."""

from __future__ import annotations

import random
import struct

import pytest
from network_samples import BROADCAST, ethernet, ipv4, ipv6, mac_of, tcp, udp

from qemu_bridge.network.frames import (
    ARP,
    ICMP,
    ICMP6,
    MINIMUM_BYTES,
    SYN,
    TCP,
    UDP,
    is_group,
    name_end,
    protocol_name,
    read_frame,
)

A, B = mac_of(1), mac_of(2)


def test_tcp_over_ipv4_has_ports_flags_sequence_and_payload():
    # The frame is padded, as Ethernet pads short ones.
    packet = read_frame(ethernet(A, B, ipv4("10.77.0.1", "10.77.0.2", 6, tcp(40000, 80, SYN, 7, b"hello")) + bytes(6)))
    assert packet.protocol == TCP and packet.payload == 5 and packet.flags == SYN and packet.sequence == 7
    assert (name_end(packet.source), name_end(packet.destination)) == (("10.77.0.1", 40000), ("10.77.0.2", 80))


def test_a_vlan_tag_and_extension_headers_are_skipped():
    inner = ipv6("fd00::1", "fd00::2", 0, bytes([UDP, 0]) + bytes(6) + udp(53, 54, b"abc"))
    packet = read_frame(B + A + b"\x81\x00\x00\x05" + b"\x86\xdd" + inner)
    assert packet.protocol == UDP and packet.payload == 3 and name_end(packet.source) == ("fd00::1", 53)


def test_an_echo_has_its_identifier_as_port_and_other_icmp_has_none():
    echo = struct.pack(">BBHHH", 8, 0, 0, 121, 0) + bytes(8)
    packet = read_frame(ethernet(A, B, ipv4("10.77.0.1", "10.77.0.2", ICMP, echo)))
    assert name_end(packet.source) == ("10.77.0.1", 121) and packet.payload == 16
    packet = read_frame(ethernet(A, B, ipv6("fe80::1", "ff02::2", ICMP6, b"\x85" + bytes(7)), 0x86DD))
    assert name_end(packet.source) == ("fe80::1", 0) and packet.payload == 0 and is_group(packet.destination)


def test_what_is_not_ip_is_between_mac_addresses():
    packet = read_frame(ethernet(A, BROADCAST, bytes(28), 0x0806))
    assert packet.protocol == ARP and protocol_name(packet.protocol) == "arp"
    assert name_end(packet.source) == ("52:54:00:67:62:01", 0) and is_group(packet.destination)
    assert [protocol_name(number) for number in (TCP, 47, (1 << 16) + 0x88CC)] == ["tcp", "ip-47", "0x88cc"]


def test_a_later_fragment_has_no_ports():
    packet = read_frame(ethernet(A, B, ipv4("10.77.0.1", "10.77.0.2", 17, b"\0\1\0\2" * 4, fragment=8)))
    assert packet.protocol == UDP and name_end(packet.source) == ("10.77.0.1", 0)


@pytest.mark.parametrize("kind", [0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806, 0])
def test_no_frame_is_too_damaged_to_count(kind):
    numbers = random.Random(kind)
    whole = ethernet(A, B, ipv4("10.77.0.1", "10.77.0.2", 6, tcp(1, 2)), kind)
    frames = [whole[:size] for size in range(MINIMUM_BYTES, len(whole))]
    frames += [whole[:14] + numbers.randbytes(numbers.randrange(80)) for _ in range(3000)]
    for frame in frames:
        packet = read_frame(frame)
        assert packet.payload >= 0 and name_end(packet.source) and name_end(packet.destination)
        protocol_name(packet.protocol)
