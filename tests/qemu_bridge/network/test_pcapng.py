"""Captures: tshark reads what is written."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from network_samples import ethernet, ipv4, mac_of, udp

from qemu_bridge.network import pcapng

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@needs_tshark
def test_tshark_reads_names_times_comments_and_sizes(tmp_path):
    frames = [
        ethernet(mac_of(1), mac_of(2), ipv4("10.77.0.1", "10.77.0.2", 17, udp(1000, 2000, b"x" * size)))
        for size in (1, 2, 3, 4, 1400)
    ]
    time_ns = 1_764_273_600_123_456_789
    blocks = [pcapng.section("glassbox"), pcapng.interface("a", "10.77.0.1/24"), pcapng.interface("b", "")]
    blocks += [
        pcapng.packet(number % 2, time_ns + number, frame, "a nc[7] → b nc[9]") for number, frame in enumerate(frames)
    ]
    blocks += [pcapng.statistics(number, time_ns, 10, 3) for number in range(2)]
    path = tmp_path / "made.pcapng"
    path.write_bytes(b"".join(blocks))
    fields = ("frame.time_epoch", "frame.interface_name", "frame.len", "frame.comment", "udp.dstport", "udp.length")
    words = ["tshark", "-r", str(path), "-T", "json", *(word for field in fields for word in ("-e", field))]
    rows = [
        each["_source"]["layers"] for each in json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    ]
    assert [row["frame.interface_name"] for row in rows] == [["a"], ["b"], ["a"], ["b"], ["a"]]
    assert [int(row["frame.len"][0]) for row in rows] == [len(frame) for frame in frames]
    assert all(row["frame.comment"] == ["a nc[7] → b nc[9]"] and row["udp.dstport"] == ["2000"] for row in rows)
    assert rows[0]["frame.time_epoch"] == ["1764273600.123456789"]
