"""The live picture over a real WebSocket: it follows its commands, and ends with whoever looks."""

import asyncio
import contextlib
import io
import json
import signal
import urllib.parse
from pathlib import Path

import pytest
import websockets
from PIL import Image
from support import wait_until

from qemu_bridge.gateway import live_picture
from qemu_bridge.gateway import service as gateway_service

pytestmark = pytest.mark.guest


def drawing_processes(service):
    """Processes of the service that draw."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    found = []
    for pid in children:
        # One that ends meanwhile draws no more.
        with contextlib.suppress(OSError):
            found += [pid] * (b"live" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return found


def connect(service, name, token=None, query="", **options):
    protocols = ["glassbox", f"glassbox.token.{token or service.token}"]
    address = service.url.replace("http", "ws") + f"api/machines/{name}/live{query}"
    return websockets.connect(address, subprotocols=protocols, max_size=None, open_timeout=60, **options)


class Looker:
    """One who looks: acknowledges pictures, keeps messages."""

    def __init__(self, socket):
        self.socket, self.messages, self.picture = socket, [], None

    async def send(self, **command):
        await self.socket.send(json.dumps(command))

    async def until(self, condition):
        """Receive until `condition` holds of this one; return the last message."""
        while True:
            found = await self.socket.recv()
            if isinstance(found, bytes):
                self.picture = Image.open(io.BytesIO(found))
                await self.send(do="drawn")
            else:
                self.messages.append(json.loads(found))
            if condition(self):
                return self.messages[-1] if self.messages else None

    async def hear(self, say):
        """The next message of a kind."""
        count = len(self.messages)
        await self.until(lambda self: any(each["say"] == say for each in self.messages[count:]))
        return next(each for each in self.messages[count:] if each["say"] == say)


def test_a_picture_is_turned_picked_and_gone_with_its_window(reader, machine):
    async def look():
        async with connect(reader, machine.name) as socket:
            assert socket.subprotocol == "glassbox"
            looker = Looker(socket)
            await looker.send(do="resize", width=400, height=300)
            assert machine.name in (await looker.hear("ready"))["title"]
            await looker.until(lambda self: self.picture is not None)
            assert looker.picture.size == (400, 300)
            legend = await looker.hear("legend")
            assert {"kernel text", "slab"} <= {colour["label"] for colour in legend["colours"]}
            await looker.send(do="show", target="kernel.text")
            legend = await looker.hear("legend")
            assert legend["shown"] == "kernel.text" and legend["shown_bytes"] > 1 << 20
            await looker.send(do="pick", x=0.5, y=0.5)
            picked = await looker.hear("picked")
            place = machine.client.identify(picked["physical"]).value
            assert place.ram_offset == picked["ram_offset"] and place.page_class.split("-")[0] in picked["what"]
            await looker.send(do="drag", right=0.3, down=0.1)
            await looker.send(do="look", view="mode=owner")
            while (legend := await looker.hear("legend"))["title"] != "owner":
                pass
            yaw = float(legend["view"].split("yaw=")[1].split(",")[0])
            await looker.send(do="drag", right=0.3, down=0.0)
            while float((await looker.hear("legend"))["view"].split("yaw=")[1].split(",")[0]) == yaw:
                pass
            for wrong in ({"do": "show", "target": "pid:999999"}, {"do": "levitate"}, {"do": "look", "view": "mode=x"}):
                await looker.send(**wrong)
                assert not (await looker.hear("problem"))["is_end"]
            assert len(drawing_processes(reader)) == 1
            await asyncio.to_thread(highlight, machine, "kernel.rodata")
            while (legend := await looker.hear("legend"))["shown"] != "kernel.rodata":
                pass

    asyncio.run(look())
    wait_until(lambda: not drawing_processes(reader))


def test_several_machines_are_one_picture(reader, machine, second_machine):
    second = second_machine.name

    async def look():
        names = json.dumps([second])
        async with connect(reader, machine.name, query=f"?beside={urllib.parse.quote(names)}") as socket:
            looker = Looker(socket)
            await looker.send(do="resize", width=400, height=240)
            assert (await looker.hear("ready"))["machines"] == [machine.name, second]
            cubes = (await looker.hear("several"))["cubes"]
            assert [cube["name"] for cube in cubes] == [machine.name, second]
            await looker.hear("legend")
            await looker.send(do="show", target="kernel.text")
            while (legend := await looker.hear("legend"))["shown"] != "kernel.text":
                pass
            both = machine.client, second_machine.client
            sizes = [client.resolve("kernel.text").value.total_bytes for client in both]
            assert legend["shown_bytes"] == sum(sizes)
        for wrong in ('["nobody"]', '["../x"]', "x", json.dumps(["a"] * 8)):
            async with connect(reader, machine.name, query=f"?beside={urllib.parse.quote(wrong)}") as socket:
                assert json.loads(await socket.recv())["is_end"], wrong

    asyncio.run(look())
    wait_until(lambda: not drawing_processes(reader))


def highlight(machine, target):
    """As another program does, once the picture has joined the viewers."""
    wait_until(lambda: machine.client.viewers())
    assert machine.client.highlight(target).value.sessions


def test_no_token_and_other_pages_get_no_picture(reader, machine):
    async def look(token, **options):
        async with connect(reader, machine.name, token, **options):
            pass

    for token, options in (
        ("wrong", {}),
        (None, {"origin": "http://evil.example"}),
        (None, {"additional_headers": {"Sec-Fetch-Site": "cross-site"}}),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            asyncio.run(look(token, **options))
        assert refused.value.response.status_code == 403
    assert not drawing_processes(reader)


def test_who_is_not_there_and_who_came_too_many_are_told(reader, machine):
    async def look():
        async with connect(reader, "nobody") as socket:
            assert json.loads(await socket.recv())["is_end"]
        sockets = [await connect(reader, machine.name) for _ in range(4)]
        async with connect(reader, machine.name) as fifth:
            message = json.loads(await fifth.recv())
            assert message["is_end"] and "4 live pictures" in message["message"]
        for socket in sockets:
            # Nobody says goodbye: the network is gone.
            socket.transport.abort()

    asyncio.run(look())
    wait_until(lambda: not drawing_processes(reader))


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_process_that_does_not_end_is_killed_before_the_service_stops_waiting(is_cancelled):
    assert live_picture._PATIENCE_S < gateway_service._PATIENCE_S

    async def end() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "600", stdin=asyncio.subprocess.PIPE)
        ending = asyncio.create_task(live_picture._end_process(process))
        await asyncio.sleep(0)
        if is_cancelled:
            ending.cancel()
        await asyncio.wait([ending])
        return await process.wait()

    assert asyncio.run(end()) == -signal.SIGKILL
