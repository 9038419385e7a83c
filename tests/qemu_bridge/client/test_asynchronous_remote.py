"""An asynchronous client by TCP, on the session's guest and on an image: it does what the blocking one does."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import zmq
from listening import RawClient, allow, attached, new_pair, own_keys, trust

from qemu_bridge.client import AsyncClient, Client
from qemu_bridge.errors import MachineError, MachineGoneError, UnknownMachineError, UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE, PhysicalAddress
from qemu_bridge.wire import keys
from qemu_bridge.wire.endpoints import parse_remote
from qemu_bridge.wire.event_records import ExitedEvent, RunstateEvent


@pytest.fixture(scope="module", autouse=True)
def own_config(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        own_keys("control")
        yield


@pytest.fixture(scope="module")
def ram_image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image"
    path.write_bytes(bytes(PAGE_SIZE) + b"here" + bytes(2 * PAGE_SIZE - 4))
    return path


@pytest.mark.guest
def test_answers_pages_ram_and_events_are_those_of_a_client_on_the_host(machine):
    async def look(name):
        async with AsyncClient.connect(name) as there:
            processes, kernel = await asyncio.gather(there.ps(), there.kernel())
            page_map = (await there.page_map(complete=True)).value
            again = await there.published_page_map(page_map.generation)
            ram = await asyncio.to_thread(lambda: there.ram.read(PhysicalAddress(0x1000100), 8192))
            state = await there.wait_for("paused")
            with pytest.raises(UsageError, match="exec needs the role write"):
                await there.exec("id")
            for call in (there.heat, there.trace_arm):
                with pytest.raises(UsageError, match="on the machine's own host"):
                    call()
            assert there.is_alive() and there.cpu_seconds() is None and isinstance(state, RunstateEvent)
            return processes.value, kernel.value, page_map, again, ram

    with machine.paused(), attached("elsewhere", qmp=Path(machine.client.connection.qmp_path)) as found:
        processes, kernel, page_map, again, ram = asyncio.run(look(trust(found)))
        assert processes == machine.client.ps().value and kernel == machine.client.kernel().value
        assert ram == machine.ram.read(PhysicalAddress(0x1000100), 8192)
        assert len(page_map.entries) == machine.ram.page_count and np.array_equal(page_map.entries, again.entries)


def test_who_cannot_connect_is_told_why_at_the_first_call(ram_image):
    async def fail(name, kind, words):
        async with AsyncClient.connect(name) as client:
            with pytest.raises(kind, match=words):
                await client.status()

    with attached("mine", ram=ram_image) as found:
        name = trust(found)
        asyncio.run(fail(f"{found.listen}/other", UnknownMachineError, "'mine' listens at"))
        keys.trust_daemon(parse_remote(name).place, new_pair().public.hex())
        asyncio.run(fail(name, MachineGoneError, "not the one whose key is known"))
        trust(found)
    asyncio.run(fail(name, MachineGoneError, "nothing listens there"))
    with pytest.raises(UsageError, match="glassbox keys trust"):
        AsyncClient.connect("tcp://127.0.0.1:1")


def test_a_connection_that_was_lost_is_made_again(ram_image):
    async def go_on(found):
        async with AsyncClient.connect(trust(found)) as client:
            assert (await client.status()).name == client.name == "mine"
            other = new_pair()
            allow(other, "read", "other")
            with RawClient(found.listen, other, keys.read_pair(keys.DAEMON).public, zmq.DEALER) as raw:
                assert raw.ask("status")["ok"]
                # All connections end where one is shut out.
                keys.revoke_client(keys.clients_path(), "other")
                while client.is_alive():
                    await asyncio.sleep(0.01)
            assert (await client.status()).name == "mine"

    with attached("mine", ram=ram_image) as found:
        asyncio.run(go_on(found))


def test_a_machine_that_ends_is_told_to_who_waits_and_to_subscribers(ram_image):
    async def watch(found, local):
        async with AsyncClient.connect(trust(found)) as client:
            events = client.events()
            await anext(events)
            await asyncio.to_thread(local.stop)
            assert isinstance(await anext(events), ExitedEvent)
            with pytest.raises(MachineGoneError):
                while True:
                    await client.status()
        with pytest.raises(MachineError, match="is closed"):
            await client.status()

    with attached("mine", ram=ram_image) as found, Client.connect(found.name) as local:
        asyncio.run(watch(found, local))


def test_it_stops_a_machine(ram_image):
    async def stop(found):
        async with AsyncClient.connect(trust(found)) as client:
            await client.stop()
            assert not client.is_alive()

    with attached("mine", ram=ram_image) as found:
        asyncio.run(stop(found))
