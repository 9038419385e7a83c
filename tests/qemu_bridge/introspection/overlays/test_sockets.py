"""Sockets, against /proc/net."""

from __future__ import annotations

import ipaddress

import pytest
from overlay_checks import look

from qemu_bridge.introspection.overlays.sockets import _NETLINK, _TYPES

pytestmark = pytest.mark.guest


def parse_sockets(text):
    found = {}
    for block in text.split("== ")[1:]:
        protocol, _, lines = block.partition("\n")
        for line in lines.splitlines()[1:]:
            words = line.split()
            if protocol == "unix":
                found[int(words[6])] = ("unix", words[7] if len(words) > 7 else "", int(words[5]))
            elif protocol == "netlink":
                found[int(words[9])] = ("netlink", int(words[1]), int(words[2]), int(words[3], 16))
            elif protocol == "packet":
                found[int(words[8])] = ("packet", int(words[2]), int(words[3], 16), int(words[4]), int(words[7]))
            else:
                local, remote = parse_host(words[1]), parse_host(words[2])
                key = (protocol, local, remote, int(words[3], 16))
                found[key] = (int(words[7]), int(words[9]))
    return found


def parse_host(text):
    host, port = text.split(":")
    data = b"".join(bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
    address = str(ipaddress.ip_address(data))
    return f"[{address}]:{int(port, 16)}" if len(data) == 16 else f"{address}:{int(port, 16)}"


STATES = (
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
)


TALK = (
    "ip link set lo up; nc -lk -s 127.0.0.1 -p 8080 -e cat & sleep 1000 | nc 127.0.0.1 8080 & nc -l -p 8081 >/dev/null & "
    "sleep 1000 | nc -u 127.0.0.1 9 & nc -u -l -p 8082 >/dev/null & usleep 500000; echo x | nc 127.0.0.1 8080"
)


def test_sockets_are_those_of_proc(each_machine, context):
    each_machine.exec(TALK)
    command = "for n in tcp tcp6 udp udp6 unix; do echo == $n; cat /proc/net/$n; done"
    try:
        steady, rows = look(each_machine, context, "sockets", command, parse_sockets)
    finally:
        each_machine.exec("killall sleep; killall nc; usleep 300000")
    internet = {key: value for key, value in steady.items() if isinstance(key, tuple)}
    found = {
        (row["protocol"], row["local"], row["remote"], 1 + STATES.index(row["state"])): (row["uid"], row["inode"])
        for row in rows
        if row["protocol"].startswith(("tcp", "udp"))
    }
    assert found.keys() >= internet.keys() and {key: found[key] for key in internet} == internet
    states = {STATES[key[3] - 1] for key in internet}
    assert {"LISTEN", "ESTABLISHED", "TIME_WAIT"} <= states and {key[0][:3] for key in internet} == {"tcp", "udp"}
    unix = {key: value for key, value in steady.items() if isinstance(key, int)}
    kinds = {"CONNECTED": 3, "UNCONNECTED": 1, "LISTEN": 1}
    ours = {
        row["inode"]: ("unix", row["local"], kinds[row["state"]]) for row in rows if row["protocol"].startswith("unix")
    }
    assert len(unix) >= 2 and {key: ours[key] for key in unix} == unix
    listener = next(row for row in rows if row["local"] == "127.0.0.1:8080" and row["state"] == "LISTEN")
    assert len(listener["pids"]) >= 1


LISTEN_BELOW = (
    "ip link set lo up; udhcpc -i lo -f -t 100 -T 100 -s /bin/true >/dev/null 2>&1 & ping -q 127.0.0.1 >/dev/null & "
    "mdev -df >/dev/null & usleep 500000"
)


def test_netlink_packet_and_raw_sockets_are_those_of_proc(each_machine, context):
    each_machine.exec(LISTEN_BELOW)
    command = "for n in netlink packet raw raw6; do echo == $n; cat /proc/net/$n; done"
    try:
        steady, rows = look(each_machine, context, "sockets", command, parse_sockets)
        (interface,) = each_machine.exec("cat /sys/class/net/lo/ifindex").split()
    finally:
        each_machine.exec("killall udhcpc ping mdev; usleep 300000")
    by_inode = {row["inode"]: row for row in rows}
    seen = set()
    for key, entry in steady.items():
        if isinstance(key, tuple):
            row = next(row for row in rows if (row["protocol"], row["local"], row["remote"]) == key[:3])
            assert (row["uid"], row["inode"]) == entry
            seen.add(key[0])
            continue
        row = by_inode[key]
        seen.add(entry[0])
        if entry[0] == "netlink":
            assert row["local"] == f"port {entry[2]} groups {entry[3]:#x}"
            assert row["protocol"] == f"netlink-{_NETLINK.get(entry[1], entry[1])}"
        else:
            place = {0: "any interface", int(interface): "lo"}[entry[3]]
            assert row["local"] == f"{entry[2]:#06x} on {place}" and row["uid"] == entry[4]
            assert row["protocol"] == f"packet-{_TYPES[entry[1]]}" and row["pids"]
    assert {"netlink", "packet", "raw"} <= seen
    assert sum(row["protocol"].startswith("netlink") for row in rows) == sum(
        entry[0] == "netlink" for entry in steady.values()
    )
    assert any(row["protocol"] == "netlink-kobject-uevent" and row["pids"] for row in rows)
