"""``glassbox top`` on a real terminal, and what it says without one."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

import pytest


@pytest.mark.guest
def test_top_draws_the_machines_on_a_terminal_and_leaves_it_as_it_was(machine):
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(its)
    environment = os.environ | {"TERM": "xterm-256color"}
    command = [sys.executable, "-m", "qemu_bridge.cli", "top"]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as top:
        try:
            shown, deadline = b"", time.monotonic() + 120
            # Until it shows processes; then it is asked to end.
            while b"init" not in shown:
                assert time.monotonic() < deadline and top.poll() is None, shown[-2000:]
                if select.select([own], [], [], 1.0)[0]:
                    shown += os.read(own, 1 << 16)
            os.write(own, b"q")
            while top.poll() is None:
                assert time.monotonic() < deadline
                if select.select([own], [], [], 0.2)[0]:
                    shown += os.read(own, 1 << 16)
        finally:
            top.kill()
    assert top.returncode == 0 and machine.name.encode() in shown and b"\x1b[?1049l" in shown
    assert termios.tcgetattr(its) == before
    os.close(own)
    os.close(its)


def test_without_a_terminal_it_names_the_way_out(command):
    answer = command("top")
    assert answer.status == 2 and "'glassbox status'" in answer.err


def test_what_it_could_not_do_later_is_refused_at_once(command, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "no folder" in command("top", "-o", tmp_path / "none").err
    assert "--seconds" in command("top", "--seconds", 0).err


def test_without_textual_it_says_what_to_install(command, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "textual.app", None)
    monkeypatch.delitem(sys.modules, "qemu_bridge.dashboard.app", raising=False)
    answer = command("top")
    assert answer.status == 1 and "glassbox-qemu[top]" in answer.err
