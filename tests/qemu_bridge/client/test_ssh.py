"""A machine behind a real sshd: nothing but ssh and glassbox is there."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ssh_server import needs_sshd, running_sshd
from support import glassbox, wait_until

from qemu_bridge.client import AsyncClient, Client, ssh
from qemu_bridge.errors import MachineError, MachineGoneError, UnknownMachineError
from qemu_bridge.machine import launch
from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.wire.endpoints import parse_remote
from qemu_bridge.wire.event_records import RunstateEvent

pytestmark = needs_sshd
CONTENT = bytes(range(256)) * 16


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_sshd(tmp_path_factory.mktemp("sshd")) as (place, programs), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        yield place


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image"
    path.write_bytes(bytes(1 << 12) + CONTENT + bytes(1 << 12))
    return path


@pytest.fixture(scope="module")
def place(server, image):
    """``HOST:PORT``, where a machine called "there" runs."""
    launch.attach("there", ram=image)
    yield server
    with Client.connect("there") as client:
        client.stop()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path_factory):
    """The runtime folder of a client on another host, short because a socket's path is limited."""
    folder = tmp_path_factory.getbasetemp().parent / f"e{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    for key in list(ssh._open):
        ssh._close(key)
    assert not list(folder.glob("glassbox/ssh-*"))


def test_a_client_reads_state_memory_and_events(place, elsewhere):
    with pytest.raises(UnknownMachineError):
        Client.connect("there")
    with Client.connect(f"ssh://{place}/there") as client:
        assert client.status().name == client.name == "there" and client.is_alive()
        assert client.ram.read(PhysicalAddress(4090), 16) == bytes(6) + CONTENT[:10]
        assert isinstance(next(client.events()), RunstateEvent)


def test_an_asynchronous_client_does_so_too_and_goes_on_when_the_connection_was_cut(place, elsewhere):
    async def look():
        async with AsyncClient.connect(f"ssh://{place}/there") as client:
            assert (await client.status()).name == client.name == "there"
            ram = await asyncio.to_thread(lambda: client.ram.read(PhysicalAddress(4090), 16))
            assert ram == bytes(6) + CONTENT[:10] and isinstance(await client.wait_for("paused"), RunstateEvent)
            ssh.forward(parse_remote(f"ssh://{place}/there")).close()
            while client.is_alive():
                await asyncio.sleep(0.01)
            assert (await client.status()).name == "there"
        with pytest.raises(UnknownMachineError, match="nobody"):
            await AsyncClient.connect(f"ssh://{place}/nobody").status()

    asyncio.run(look())


def test_clients_of_one_process_share_one_ssh(place, elsewhere):
    name = f"ssh://{place}/there"
    with Client.connect(name), Client.connect(name):
        assert len(list(elsewhere.glob("glassbox/ssh-*"))) == 1


def test_a_machine_that_does_not_run_there_and_a_host_that_cannot_be_reached(place, elsewhere, monkeypatch):
    with pytest.raises(UnknownMachineError, match="nobody"):
        Client.connect(f"ssh://{place}/nobody")
    with pytest.raises(MachineError, match=r"cannot reach 127\.0\.0\.1:1 by ssh"):
        Client.connect("ssh://127.0.0.1:1/there")
    monkeypatch.setenv("GLASSBOX_REMOTE", "/no/glassbox")
    with pytest.raises(MachineError, match="set GLASSBOX_REMOTE"):
        Client.connect(f"ssh://{place}/there")


def test_the_command_line_reaches_it(place, elsewhere):
    done = glassbox("--host", place, "peek", "there", "0x1000", "16", "--json")
    assert json.loads(done.stdout)["hex"] == CONTENT[:16].hex(), done.stderr
    assert "glassbox status" in glassbox("--host", place, "status").stderr
    assert f"ssh {place} glassbox console" in glassbox(f"--host={place}", "console", "there").stderr


def test_a_client_that_is_killed_leaves_no_ssh(place, elsewhere):
    program = (
        f"from qemu_bridge.client import Client; client = Client.connect('ssh://{place}/there')\n"
        "from qemu_bridge.client import ssh\n"
        "print(next(iter(ssh._open.values()))._process.pid, flush=True); input()"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        pid = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        child.wait()

    def has_ended():
        with contextlib.suppress(OSError):
            return "ssh" not in Path(f"/proc/{pid}/comm").read_text()
        return True

    wait_until(has_ended)
    # What it left is removed by the next one.
    with Client.connect(f"ssh://{place}/there"):
        assert len(list(elsewhere.glob("glassbox/ssh-*"))) == 1


def test_a_connection_that_is_cut_is_told_and_made_again(place, elsewhere):
    with Client.connect(f"ssh://{place}/there") as client:
        assert client.status()
        ssh.forward(parse_remote(f"ssh://{place}/there")).close()
        wait_until(lambda: not client.is_alive())
        with pytest.raises(MachineGoneError):
            client.validate()
        assert client.status().name == "there"
