"""Guests that reach each other and nothing else, and what is seen of it; oracles: the guests' own counters and /proc, tshark."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from network_samples import on_network
from support import glassbox, is_running, wait_until

from qemu_bridge.network.watch import read_flows, read_status
from qemu_bridge.wire.network_records import Naming

pytestmark = pytest.mark.guest


def counters(machine):
    """Received frames and bytes and sent ones, as the guest counts them."""
    words = re.search(rb"eth0:(.*)", machine.exec("cat /proc/net/dev"))[1].split()
    return [int(words[number]) for number in (1, 0, 9, 8)]


def port_of(machine):
    (found,) = [port for port in read_status("lab").ports if port.machine == machine.name]
    return [found.received_frames, found.received_bytes, found.sent_frames, found.sent_bytes]


def count_flows():
    """The number of the newest flow."""
    return max((flow.number for flow in read_flows("lab").flows), default=0)


def await_flow(after):
    """The first TCP flow behind number `after`, once both its ends have their own socket."""

    def find():
        found = [flow for flow in read_flows("lab").flows if flow.number > after and flow.protocol == "tcp"]
        ends = [end for flow in found[:1] for end in (flow.source, flow.destination)]
        return found[0] if ends and all(end.naming is Naming.SOCKET for end in ends) else None

    wait_until(find)
    return find()


@contextlib.contextmanager
def capturing(path):
    """``glassbox flows lab -o PATH`` in a process of its own, which has ended well afterwards."""
    words = [sys.executable, "-m", "qemu_bridge.cli", "flows", "lab", "-o", str(path)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: read_status("lab").watchers)
            yield
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.stderr.read()


def tshark(path, *words):
    return subprocess.run(["tshark", "-r", str(path), *words], capture_output=True, text=True, check=True).stdout


def test_each_guest_has_its_address_and_reaches_the_other_one_and_nothing_else(pair):
    left, right = pair
    status = [machine.client.status() for machine in pair]
    assert [(found.net, found.address) for found in status] == [("lab", "10.77.0.1"), ("lab", "10.77.0.2")]
    assert b"inet 10.77.0.1/24" in left.exec("ip address show dev eth0")
    assert b"2 packets received" in left.exec("ping -c 2 10.77.0.2")
    assert b"default" not in right.exec("ip route")


def difference(machine):
    """What the switch has counted more than the guest: received frames and bytes, sent ones."""
    return [ours - own for ours, own in zip(port_of(machine), counters(machine), strict=True)]


def settled(pair):
    """The differences of both machines, once nothing is under way: guests send frames of their own now and then."""
    found = [[difference(machine) for machine in pair]]

    def is_settled():
        found.append([difference(machine) for machine in pair])
        return found[-1] == found[-2]

    wait_until(is_settled)
    return found[-1]


def test_the_switch_counts_what_the_guests_count(pair):
    left, _ = pair
    with without_ipv6(pair):
        # A guest that boots misses what was sent to it before its driver ran, and the switch what was sent before it had joined.
        before = settled(pair)
        received = [port_of(machine)[0] for machine in pair]
        left.exec("ping -c 3 -s 1200 10.77.0.2")
        assert settled(pair) == before
    assert all(port_of(machine)[0] >= count + 3 for machine, count in zip(pair, received, strict=True))


@contextlib.contextmanager
def without_ipv6(pair):
    """QEMU keeps from a guest what is sent to groups that it is not in, as a kernel does while it looks for IPv6 routers."""
    try:
        for machine in pair:
            machine.exec("echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        yield
    finally:
        for machine in pair:
            machine.exec("echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_from_a_capture_what_was_said_and_by_whom(pair, tmp_path):
    left, _ = pair
    path = tmp_path / "lab.pcapng"
    with capturing(path):
        begun, before = time.time(), read_status("lab")
        command = "(sleep 1; echo what did you say; sleep 2) | nc 10.77.0.2 5000"
        assert left.exec(command) == b"what did you say\n"
        after, ended = read_status("lab"), time.time()
    fields = ("frame.time_epoch", "frame.interface_name", "ip.src", "ip.dst", "tcp.dstport", "tcp.payload")
    words = [word for field in fields for word in ("-e", field)]
    rows = [each["_source"]["layers"] for each in json.loads(tshark(path, "-T", "json", *words))]
    said = [row for row in rows if row.get("tcp.payload")]
    assert [(row["frame.interface_name"], row["ip.src"], row["ip.dst"]) for row in said] == [
        (["left"], ["10.77.0.1"], ["10.77.0.2"]),
        (["right"], ["10.77.0.2"], ["10.77.0.1"]),
    ]
    assert {bytes.fromhex(row["tcp.payload"][0]) for row in said} == {b"what did you say\n"}
    assert all(begun <= float(row["frame.time_epoch"][0]) <= ended for row in said)
    sent = [sum(port.sent_frames for port in status.ports) for status in (before, after)]
    assert len(rows) >= sent[1] - sent[0]
    # The frames that came once both processes were known say so.
    assert re.search(r"left nc\[\d+\] → right cat\[\d+\]", tshark(path, "-T", "fields", "-e", "frame.comment"))


def test_both_processes_of_a_connection_are_those_that_proc_names(pair):
    left, right = pair
    before = count_flows()
    command = "mkfifo /tmp/line; (sleep 60 >/tmp/line & nc 10.77.0.2 5000 </tmp/line >/dev/null 2>&1 & echo $!)"
    client = int(left.exec(f"({command}) 2>/dev/null"))
    try:
        flow = await_flow(before)
        assert flow.source.pids == (client,) and flow.source.process == "nc"
        owner = owner_in_proc(right, 5000, flow.source.port)
        # busybox's nc accepts, and then a child of it has the socket.
        parent = int(re.search(rb"PPid:\s*(\d+)", right.exec(f"cat /proc/{owner}/status"))[1])
        assert {owner, parent} & {*flow.destination.pids} and flow.state == "open"
        name = right.exec(f"cat /proc/{flow.destination.pids[0]}/comm").decode().strip()
        assert flow.destination.process == name and flow.destination.machine == "right"
    finally:
        left.exec(f"kill {client}; rm /tmp/line")
    wait_until(lambda: next(each for each in read_flows("lab").flows if each.number == flow.number).state == "closed")


def owner_in_proc(machine, local, remote):
    """The first process that has the TCP socket between two ports open, as the guest's /proc says."""
    rows = [line.split() for line in machine.exec("cat /proc/net/tcp /proc/net/tcp6").decode().splitlines()]
    ends = f":{local:04X}", f":{remote:04X}"
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    found = machine.exec(
        f"ls -l /proc/[0-9]*/fd 2>/dev/null | grep -B 20 'socket:\\[{inode}\\]' | grep ^/proc"
    ).decode()
    return int(found.splitlines()[-1].split("/")[2])


def test_requests_and_replies_of_one_connection_are_paired(pair):
    left, _ = pair
    before = count_flows()
    left.exec("(for n in 1 2 3; do sleep 1; echo request $n; done; sleep 1) | nc 10.77.0.2 5000 >/dev/null")
    flow = await_flow(before)
    assert flow.call_count == 3 and [(call.request_bytes, call.reply_bytes) for call in flow.calls] == [(10, 10)] * 3
    assert all(0 < call.latency_s <= call.duration_s < 60 for call in flow.calls)
    # The latency of a ping is what it says, less the way between guest and switch.
    said = left.exec("ping -c 3 10.77.0.2").decode()
    times = [float(each) / 1e3 for each in re.findall(r"time=([\d.]+) ms", said)]
    (pings,) = [flow for flow in read_flows("lab").flows[-4:] if flow.protocol == "icmp" and flow.call_count == 3]
    assert all(call.latency_s < took for call, took in zip(pings.calls, times, strict=True))


def test_flows_are_listed_by_the_command_line_and_by_each_machine(pair):
    left, _ = pair
    before = count_flows()
    left.exec("(sleep 1; echo hello; sleep 1) | nc 10.77.0.2 5000")
    flow = await_flow(before)
    table = glassbox("flows", "lab").stdout
    assert re.search(r"tcp +left nc\[\d+\] 10\.77\.0\.1:\d+ +right cat\[\d+\] 10\.77\.0\.2:5000", table), table
    assert "left nc[" in glassbox("flows", "lab", "--calls").stdout
    networks = json.loads(glassbox("flows", "--json").stdout)
    assert [[port["machine"] for port in each["ports"]] for each in networks if each["name"] == "lab"] == [
        ["left", "right"]
    ]
    assert left.client.flows().network == json.loads(glassbox("flows", "lab", "--json").stdout)["network"] == "lab"
    assert flow in left.client.flows().flows


def test_guests_reach_each_other_again_after_their_switch_was_killed(pair):
    left, right = pair
    status = read_status("lab")
    os.kill(status.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(status.pid))
    # Whoever starts the next switch, the addresses that the guests have are not given to others.
    with on_network("lab", "newcomer") as (newcomer,):
        assert newcomer.place.number not in {port.place.number for port in status.ports}
    wait_until(lambda: b"1 packets received" in left.exec("ping -c 1 -W 1 10.77.0.2; true"))
    wait_until(lambda: b"1 packets received" in right.exec("ping -c 1 -W 1 10.77.0.1; true"))
    found = read_status("lab")
    places = {port.machine: port.place for port in status.ports}
    assert found.pid != status.pid and {port.machine: port.place for port in found.ports} == places
