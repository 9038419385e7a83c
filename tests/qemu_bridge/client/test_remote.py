"""A client by TCP, on the session's guest and on an image: it reads what a client on the machine's host reads."""

import secrets
from pathlib import Path

import msgspec
import numpy as np
import pytest
from listening import allow, attached, new_pair, own_keys, trust
from support import glassbox

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineGoneError, UnknownMachineError, UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE, PhysicalAddress
from qemu_bridge.wire import keys
from qemu_bridge.wire.endpoints import parse_remote
from qemu_bridge.wire.event_records import ExitedEvent, RunstateEvent
from qemu_bridge.wire.records import PageClass


@pytest.fixture(scope="module", autouse=True)
def own_config(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        own_keys("control")
        yield


@pytest.fixture(scope="module")
def elsewhere(machine):
    """The session's guest, seen from another host: a second daemon serves it by TCP."""
    with (
        attached("elsewhere", qmp=Path(machine.client.connection.qmp_path)) as found,
        Client.connect(trust(found)) as client,
    ):
        yield client


@pytest.fixture
def ram_image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(bytes(PAGE_SIZE) + b"here" + bytes(2 * PAGE_SIZE - 4))
    return path


def described(page_map):
    """Class, flags and owner of each page, the owner by name: each daemon gives out ids of its own.

    What the kernel just holds is left as that: its owner was found by a pointer, which a daemon that came later need not find.
    """
    held = np.isin(page_map.entries["page_class"], [PageClass.KERNEL_PAGES, PageClass.OTHER])
    owners = map(page_map.owners.get, page_map.entries["owner_id"].tolist())
    return [
        "held" if is_held else (page_class, flags, owner.kind, owner.pid, owner.name)
        for is_held, page_class, flags, owner in zip(
            held.tolist(),
            page_map.entries["page_class"].tolist(),
            page_map.entries["flags"].tolist(),
            owners,
            strict=True,
        )
    ]


@pytest.mark.guest
def test_answers_are_those_of_a_client_on_the_host(machine, elsewhere):
    with machine.paused():
        assert elsewhere.ps().value == machine.client.ps().value
        here, there = machine.client.page_map(complete=True).value, elsewhere.page_map(complete=True).value
        differ = [
            (hex(page), *both)
            for page, both in enumerate(zip(described(here), described(there), strict=True))
            if both[0] != both[1]
        ]
        assert not differ
        assert np.array_equal(elsewhere.published_page_map(there.generation).entries, there.entries)


@pytest.mark.guest
def test_ram_is_the_same_and_a_page_that_has_not_changed_is_read_once(machine, elsewhere, monkeypatch):
    asked, call = [], elsewhere.call
    monkeypatch.setattr(elsewhere, "call", lambda row, arguments: asked.append(row.name) or call(row, arguments))
    with machine.paused():
        for _ in range(2):
            assert elsewhere.ram.read(PhysicalAddress(0x1000100), 8192) == machine.ram.read(
                PhysicalAddress(0x1000100), 8192
            )
        assert asked.count("read_memory") <= 1 <= asked.count("dirty")
        pages = np.flatnonzero(machine.ram.resident_pages())
        assert np.array_equal(elsewhere.ram.resident_pages(), machine.ram.resident_pages())
        assert np.array_equal(elsewhere.ram.pages()[pages], machine.ram.pages()[pages])


@pytest.mark.guest
def test_what_the_guest_writes_is_found(machine, elsewhere):
    needle = secrets.token_hex(16)
    assert not list(elsewhere.ram.find(needle.encode()))
    machine.exec(f"echo {needle} > /tmp/needle")
    places = list(elsewhere.ram.find(needle.encode(), 1))
    assert places and elsewhere.ram.read_at(places[0], 32) == needle.encode()
    machine.exec("rm /tmp/needle")


@pytest.mark.guest
def test_events_come_too_and_what_needs_shared_memory_is_refused(elsewhere):
    assert isinstance(next(elsewhere.events()), RunstateEvent) and elsewhere.cpu_seconds() is None
    for call in (elsewhere.heat, elsewhere.trace_arm):
        with pytest.raises(UsageError, match="on the machine's own host"):
            call()
    with pytest.raises(UsageError, match="exec needs the role write"):
        elsewhere.exec("id")


def test_who_cannot_connect_is_told_why(ram_image):
    with attached("mine", ram=ram_image) as found:
        name = trust(found)
        place = parse_remote(name).place
        with Client.connect(found.listen) as client:
            assert client.name == "mine" and client.ram.read(PhysicalAddress(PAGE_SIZE), 4) == b"here"
        with pytest.raises(UnknownMachineError, match="'mine' listens at"):
            Client.connect(f"{found.listen}/other")
        keys.trust_daemon(place, new_pair().public.hex())
        with pytest.raises(MachineGoneError, match="not the one whose key is known"):
            Client.connect(name)
        trust(found)
        allow(new_pair(), "read", "somebody")
        own = keys.revoke_client(keys.clients_path(), "own")
        # libzmq tells the client why, unless the connection ends first.
        with pytest.raises(MachineGoneError, match=r"does not (allow this client's key|take this client)"):
            Client.connect(name)
        keys.allow_client(keys.clients_path(), own[0])
    with pytest.raises(MachineGoneError, match="nothing listens there"):
        Client.connect(name)
    with pytest.raises(UsageError, match="glassbox keys trust"):
        Client.connect("tcp://127.0.0.1:1")


def test_a_verb_that_works_on_its_own_host_only_says_how_to_run_it_there():
    for place, host in (("192.0.2.1:7000", "192.0.2.1"), ("[2001:db8::1]:7000", "2001:db8::1")):
        answer = glassbox("--host", f"tcp://{place}", "console", "demo")
        assert answer.returncode == 2 and f"'ssh {host} glassbox console ...'" in answer.stderr


def test_a_machine_that_ends_is_told_to_clients_and_subscribers(ram_image):
    with attached("mine", ram=ram_image) as found:
        with Client.connect(trust(found)) as client, Client.connect(found.name) as local:
            events = client.events()
            next(events)
            local.stop()
            assert isinstance(next(events), ExitedEvent)
            with pytest.raises(MachineGoneError):
                while True:
                    client.status()


def test_a_machine_of_the_same_name_and_place_is_another(ram_image, monkeypatch):
    with attached("mine", ram=ram_image) as found, Client.connect(trust(found)) as client:
        client.connection = msgspec.structs.replace(client.connection, daemon_pid=1)
        monkeypatch.setattr(client, "_is_reached", lambda socket: False)
        with pytest.raises(MachineGoneError, match="another has its name"):
            client.status()
        monkeypatch.undo()
