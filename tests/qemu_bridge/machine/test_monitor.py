"""QMP on a real QEMU: answers, refusals, silence, sudden death."""

import asyncio
import os
import signal
import socket

import pytest

from qemu_bridge.daemon.backends.started import StartedQemu
from qemu_bridge.errors import MachineError, MachineGoneError
from qemu_bridge.machine.config import MachineConfig, find_qemu
from qemu_bridge.machine.monitor import Monitor

pytestmark = pytest.mark.guest


@pytest.fixture
def qemu(tmp_path):
    config = MachineConfig("monitor", memory=1 << 20, qemu_args=("-S",))
    found = StartedQemu(find_qemu(), config, tmp_path / "ram", tmp_path / "console.log")
    yield found
    found.process.kill()
    found.process.wait()
    found.monitor_socket.close()
    found.agent_socket.close()


def run(qemu, talk):
    async def connected():
        async with Monitor.connect(qemu.monitor_socket, "monitor") as monitor:
            return await talk(monitor)

    return asyncio.run(connected())


def test_commands_are_answered(qemu):
    async def talk(monitor):
        return await monitor.execute("query-status"), await monitor.hmp("info version")

    status, version = run(qemu, talk)
    assert status["status"] == "prelaunch" and version[0].isdigit()


def test_a_refusal_is_an_error_with_qemus_words(qemu):
    with pytest.raises(MachineError, match="QEMU refuses fly: "):
        run(qemu, lambda monitor: monitor.execute("fly"))


def test_silence_ends_in_an_error(qemu):
    async def talk(monitor):
        os.kill(qemu.process.pid, signal.SIGSTOP)
        try:
            await monitor.execute("query-status", timeout_s=0.2)
        finally:
            os.kill(qemu.process.pid, signal.SIGCONT)

    with pytest.raises(MachineError, match="did not answer query-status within"):
        run(qemu, talk)


def test_a_death_while_asking_is_told(qemu):
    async def talk(monitor):
        os.kill(qemu.process.pid, signal.SIGSTOP)
        asked = asyncio.gather(monitor.execute("query-status"))
        await asyncio.sleep(0.1)
        qemu.process.kill()
        await asked

    with pytest.raises(MachineGoneError):
        run(qemu, talk)


def test_events_come_as_they_happen(qemu):
    async def talk(monitor):
        await monitor.execute("cont")
        async for event in monitor.events():
            return event["event"]

    assert run(qemu, talk) == "RESUME"


def test_a_peer_that_is_no_qemu_is_an_error():
    ours, theirs = socket.socketpair()
    with theirs, ours:
        theirs.send(b"hello\r\n")

        async def talk():
            async with Monitor.connect(ours, "nobody"):
                pass

        with pytest.raises(MachineError, match="does not answer on its QMP socket"):
            asyncio.run(talk())
