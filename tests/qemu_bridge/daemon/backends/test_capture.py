"""A capture as a backend: it never runs, one daemon serves it, and that ends when nobody looks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from open_captures import let_go
from support import glassbox, is_running, shared_files, wait_until

from qemu_bridge.client import Client
from qemu_bridge.daemon.backends.capture import Capture
from qemu_bridge.daemon.backends.find import find_capture
from qemu_bridge.machine import launch
from qemu_bridge.machine.requests import AttachRequest, encode_request
from qemu_bridge.wire import connection
from qemu_bridge.wire.records import Origin

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def taken(machine, tmp_path_factory):
    """A capture of the session's guest, and its manifest."""
    folder = tmp_path_factory.mktemp("captures") / "taken"
    manifest = machine.client.capture(str(folder))
    yield folder, manifest
    let_go(folder)


def test_it_brings_its_own_symbols_and_is_closed_when_nobody_looks(taken):
    folder, manifest = taken
    backend, config, ram, layout = find_capture("seen", folder)
    assert isinstance(backend, Capture) and backend.origin is Origin.CAPTURE and backend.is_static
    assert backend.symbols == folder / "symbols" and backend.idle_timeout_s and backend.pid is None
    assert (config.name, config.memory, config.machine, config.smp) == ("seen", manifest.ram_bytes, manifest.machine, 0)
    assert ram == folder / "ram" and layout == manifest.layout
    assert "closed" in backend.describe_exit(asked=True)


def test_what_needs_a_machine_says_that_a_capture_does_not_run(taken):
    for words in (("pause",), ("resume",), ("exec", "--", "ls"), ("qmp", "stop")):
        verb, *rest = words
        done = glassbox(verb, str(taken[0]), *rest)
        assert done.returncode == 1 and "does not run" in done.stderr and done.stderr.count("\n") == 1, done


def test_many_who_open_it_at_once_share_one_daemon(taken):
    from concurrent.futures import ThreadPoolExecutor

    folder = taken[0]
    let_go(folder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: launch.open_path(folder), range(4)))
    assert len({each.daemon_pid for each in found}) == 1


@pytest.mark.long
def test_its_daemon_ends_when_nobody_has_looked_for_a_while(taken):
    folder = taken[0]
    name = launch.capture_name(folder)
    with Client.connect(str(folder)) as client:
        client.ps()
        time.sleep(25)
        assert connection.is_alive(name)
    deadline = time.monotonic() + 40
    while connection.is_alive(name) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not connection.is_alive(name)


def test_its_daemon_serves_and_ends_in_order_though_who_started_it_is_gone(taken):
    folder = taken[0]
    name = launch.capture_name(folder)
    let_go(folder)
    wait_until(lambda: not connection.state_path(name).exists())
    command = [sys.executable, "-m", "qemu_bridge.daemon"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as daemon:
        daemon.stdout.close()
        daemon.stdin.write(encode_request(AttachRequest(name, capture=folder.resolve())))
        daemon.stdin.close()
        wait_until(lambda: connection.is_alive(name) or daemon.poll() is not None)
        with Client.connect(str(folder)) as client:
            assert client.ps()
        assert connection.find_connection(name).daemon_pid == daemon.pid
        daemon.terminate()
    assert daemon.returncode == 0 and not connection.state_path(name).exists() and not shared_files(name)


BUSY = """
import sys, threading
from qemu_bridge.client import Client

def ask(folder):
    with Client.connect(folder) as client:
        while True:
            client.refresh_page_map(complete=True)

for _ in range(2):
    threading.Thread(target=ask, args=sys.argv[1:], daemon=True).start()
with Client.connect(sys.argv[1]) as client:
    client.kernel()
    print("asking", flush=True)
    while True:
        client.compare(sys.argv[1])
"""
"""A client whose questions and jobs never stop."""


@pytest.mark.parametrize(
    "blow",
    [pytest.param(signal.SIGKILL, marks=pytest.mark.long), signal.SIGSTOP, pytest.param(None, marks=pytest.mark.long)],
    ids=["killed", "stopped", "well"],
)
def test_sigterm_ends_its_daemon_in_the_middle_of_questions_whatever_became_of_the_client(taken, blow):
    folder, dice = taken[0], random.Random(7)
    name = launch.capture_name(folder)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", BUSY, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as client:
            try:
                assert client.stdout.readline() == b"asking\n"
                daemon = connection.find_connection(name).daemon_pid
                time.sleep(dice.random())  # the moment of the blow, not a wait
                if blow is not None:
                    client.send_signal(blow)
                os.kill(daemon, signal.SIGTERM)
                wait_until(lambda daemon=daemon: not is_running(daemon))
            finally:
                client.kill()
        # A daemon that ended in order removes its log; one that failed on the way leaves it, and its files. Another one may have
        # waited for its place, which a thread of the client began as the daemon was not there yet: it ends when nobody asks.
        wait_until(lambda: not connection.state_path(name).exists() and not shared_files(name))


@pytest.mark.parametrize("blow", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_its_daemon_ends_after_a_client_that_is_killed_in_the_middle_of_questions(taken, blow):
    folder = taken[0]
    name = launch.capture_name(folder)
    let_go(folder)
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdout.readline() == b"asking\n"
        daemon = connection.find_connection(name).daemon_pid
        client.send_signal(blow)
    wait_until(lambda: not is_running(daemon), 90)
    assert not connection.state_path(name).exists()
