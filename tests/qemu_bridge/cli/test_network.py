"""The verb flows, on machines that are nothing but a socket; tests/qemu_bridge/network has guests."""

from __future__ import annotations

import json
import subprocess
import sys

from network_samples import ethernet, ipv4, mac_of, on_network, receive, sized, tcp
from support import glassbox

from qemu_bridge.network.frames import SYN

FRAME = ethernet(mac_of(1), mac_of(2), ipv4("10.77.0.1", "10.77.0.2", 6, tcp(4000, 80, SYN)))


def test_an_unknown_network_is_refused_in_words():
    assert glassbox("flows", "nowhere").returncode == 2
    answer = glassbox("flows", "nowhere", "-o", "/nowhere/x")
    assert answer.returncode == 1 and "/nowhere/x" in answer.stderr
    answer = glassbox("flows", "nowhere", "--follow")
    assert answer.returncode == 2 and "there is no network 'nowhere'" in answer.stderr


def test_networks_flows_and_captures_are_printed(tmp_path):
    with on_network("shown", "a", "b") as (a, b):
        a.socket.sendall(sized(FRAME))
        assert receive(b) == FRAME
        lines = glassbox("flows").stdout.splitlines()
        assert ["shown", "a", "10.77.0.1/24", "52:54:00:67:62:01", "1", "54", "0", "0", "0"] in [
            line.split() for line in lines
        ]
        (flow,) = json.loads(glassbox("flows", "shown", "--json").stdout)["flows"]
        assert flow["source"]["port"] == 4000 and flow["destination"]["machine"] == "b"
        table = glassbox("flows", "shown").stdout
        assert table.splitlines()[0].split()[:3] == ["PROTOCOL", "FROM", "TO"] and "10.77.0.2:80" in table
        path = tmp_path / "shown.pcapng"
        answer = glassbox("flows", "shown", "-o", str(path), "--seconds", "0.2")
        assert answer.returncode == 0 and path.read_bytes().startswith(b"\x0a\x0d\x0d\x0a") and "wrote" in answer.stderr
        words = [sys.executable, "-m", "qemu_bridge.cli", "flows", "shown", "-o", "-", "--seconds", "0.2"]
        piped = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout
        assert piped.startswith(path.read_bytes()[:100])
        assert glassbox("flows", "shown", "-o", str(path), "--seconds", "0").returncode == 2


def test_a_capture_of_no_network_leaves_no_file(tmp_path):
    path = tmp_path / "none.pcapng"
    assert glassbox("flows", "nowhere", "-o", str(path)).returncode == 2 and not path.exists()
