"""The verb mcp; how it serves is tested in tests/qemu_bridge/gateway."""

from __future__ import annotations

import socket
import sys

from support import glassbox


def test_a_port_that_is_taken_is_told(command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        shown = command("mcp", "--http", f"127.0.0.1:{port}")
    assert shown.status == 1 and f"cannot listen on 127.0.0.1:{port}" in shown.err
    open_to_all = command("mcp", "--http", "0.0.0.0:0")
    assert open_to_all.status == 2 and "--tls-cert" in open_to_all.err


def test_without_its_package_it_says_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "anyio", None)
    shown = command("mcp")
    assert shown.status == 1 and "glassbox-qemu[mcp]" in shown.err


def test_a_client_that_leaves_ends_it():
    assert glassbox("mcp", timeout=60).returncode == 0
