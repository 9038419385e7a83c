"""``start --foreground``: as systemd runs it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from qemu_bridge.cli.foreground import notify
from qemu_bridge.client import Client
from qemu_bridge.wire import connection


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The socket on which systemd is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as source:
        source.bind(str(tmp_path / "notify"))
        source.settimeout(120)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield source


def test_who_was_not_started_by_systemd_tells_nobody(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_an_abstract_socket_is_a_way_too(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as source:
        source.bind(f"\0glassbox-test-{os.getpid()}")
        source.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@glassbox-test-{os.getpid()}")
        notify("READY=1")
        assert source.recv(100) == b"READY=1"


@contextlib.contextmanager
def started(image, name):
    command = [sys.executable, "-m", "qemu_bridge.cli", "start", name, "--foreground"]
    command += ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--", "-S"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as service:
        try:
            yield service
        finally:
            if connection.is_alive(name):
                with Client.connect(name) as client:
                    client.stop()


@pytest.mark.guest
def test_systemd_is_told_when_the_machine_runs_and_its_signal_stops_the_machine(image, systemd):
    with started(image, "service") as service:
        assert systemd.recv(100) == b"READY=1" and connection.is_alive("service")
        service.send_signal(signal.SIGTERM)
        assert service.wait(120) == 0 and service.stdout.read() == "service\n"
        assert systemd.recv(100) == b"STOPPING=1" and not connection.is_alive("service")


@pytest.mark.guest
def test_a_machine_that_dies_is_a_failure_and_one_that_is_stopped_is_none(image, systemd):
    with started(image, "killed") as service:
        assert systemd.recv(100) == b"READY=1"
        with Client.connect("killed") as client:
            os.kill(client.status().qemu_pid, signal.SIGKILL)
        assert service.wait(120) == 1 and "QEMU was killed by SIGKILL" in service.stderr.read()
    with started(image, "stopped") as service:
        assert systemd.recv(100) == b"READY=1"
        with Client.connect("stopped") as client:
            client.stop()
        assert service.wait(120) == 0


@pytest.mark.guest
def test_a_machine_whose_daemon_is_killed_is_a_failure(image, systemd):
    with started(image, "orphaned") as service:
        assert systemd.recv(100) == b"READY=1"
        with Client.connect("orphaned") as client:
            os.kill(client.connection.daemon_pid, signal.SIGKILL)
        assert service.wait(120) == 1 and "its daemon was killed" in service.stderr.read()
