"""A machine joins its network again, without a QEMU: the test listens in its place."""

import asyncio
import os
import signal

import msgspec
from support import is_running, wait_until

from qemu_bridge.daemon.rejoin import rejoin
from qemu_bridge.host.tasks import TaskSet
from qemu_bridge.network.place import link_path, open_link
from qemu_bridge.network.watch import read_status
from qemu_bridge.wire.connection import Connection
from qemu_bridge.wire.records import Origin


def test_a_machine_joins_again_in_its_place_once_its_socket_is_there(caplog):
    async def again(connection):
        tasks = TaskSet()
        hidden = link_path("m").rename(link_path("m").with_suffix(".hidden"))
        rejoining = tasks.start(rejoin(connection), "rejoin")
        while "cannot join network" not in caplog.text:
            await asyncio.sleep(0.01)
        hidden.rename(link_path("m"))
        await rejoining

    with open_link("mended", "m") as link:
        connection = Connection(
            "m", "running", os.getpid(), "", "", "", (), "", "", "", "", "pc", "tcg", origin=Origin.STARTED
        )
        connection = msgspec.structs.replace(connection, net="mended", address=link.place.address.partition("/")[0])
        with link.socket.accept()[0] as before:
            pid = read_status("mended").pid
            os.kill(pid, signal.SIGKILL)
            assert not before.recv(1)
            wait_until(lambda: not is_running(pid))
        asyncio.run(again(connection))
        with link.socket.accept()[0]:
            (port,) = read_status("mended").ports
            assert (port.machine, port.place) == ("m", link.place)
    assert "takes it for" not in caplog.text
