"""QMP on a real QEMU: answers, refusals, silence, sudden death."""

import asyncio
import contextlib
import os
import random
import signal
import socket

import pytest

from qemu_bridge.daemon.backends.started import StartedQemu
from qemu_bridge.errors import MachineError, MachineGoneError, UsageError
from qemu_bridge.machine.config import MachineConfig, find_qemu
from qemu_bridge.machine.monitor import Monitor

pytestmark = pytest.mark.guest


@pytest.fixture
def qemu(tmp_path):
    config = MachineConfig("monitor", memory=4 << 20, qemu_args=("-S",))
    found = StartedQemu(find_qemu(), config, tmp_path / "ram", tmp_path / "console.log")
    yield found
    found.process.kill()
    found.process.wait()
    found.monitor_socket.close()
    found.agent_socket.close()
    found.errors_socket.close()


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


NESTED: list = []
for _ in range(2000):
    NESTED = [NESTED]
ODD_ARGUMENTS = (
    {"a": float("nan")}, {"a": [float("inf")]}, {"\udcff": 1}, {"a": "\ud800"}, {"a": "\ufffe\x00"}, {"a": "\ufdd0"},
    {"a": 1 << 80}, {"a": -(1 << 70)}, {"": None}, {"a": "x" * (12 << 20)}, {"a": NESTED}, {"a": list(range(3000))},
    {"a": 1e308}, {"a": "\x7f\r\n\x1b"},
)  # fmt: skip


@pytest.mark.parametrize(
    "command", ["query-status", "human-monitor-command", "", "\udcff", "\ufffe", "x\n{}", "{" * 2000]
)
def test_no_command_and_no_argument_ends_the_connection(qemu, command):
    async def talk(monitor):
        for arguments in ODD_ARGUMENTS:
            with contextlib.suppress(MachineError, UsageError):
                await monitor.execute(command, arguments)
            assert (await monitor.execute("query-status"))["status"] == "prelaunch"

    run(qemu, talk)


def test_a_command_that_would_hold_qemu_up_is_refused(qemu):
    with pytest.raises(UsageError, match="too long for QEMU"):
        run(qemu, lambda monitor: monitor.execute("query-status", {"a": "x" * (1 << 20)}))


def test_random_commands_do_not_end_the_connection(qemu):
    dice = random.Random(5)
    scalars = [
        None,
        True,
        0,
        -1,
        1 << 63,
        1 << 64,
        0.5,
        "",
        "a",
        "\ud83d",
        "\U0001f600",
        "\uffff",
        "\x00",
        "\\",
        '"',
        "\xff",
    ]

    def value(depth=0):
        kind = dice.random()
        if kind < 0.2 and depth < 4:
            return [value(depth + 1) for _ in range(dice.randrange(4))]
        if kind < 0.4 and depth < 4:
            return {str(dice.choice(scalars)): value(depth + 1) for _ in range(dice.randrange(4))}
        return dice.choice(scalars)

    async def talk(monitor):
        for number in range(300):
            arguments = {str(dice.choice(scalars)): value() for _ in range(dice.randrange(3))}
            with contextlib.suppress(MachineError, UsageError):
                await monitor.execute(dice.choice(["query-status", "query-cpus-fast", "qom-list", value()]), arguments)
            if number % 10 == 0:
                assert (await monitor.execute("query-status"))["status"] == "prelaunch"

    run(qemu, talk)


def test_a_reply_of_many_megabytes_arrives(qemu):
    text = run(qemu, lambda monitor: monitor.hmp("xp /2000000xb 0"))
    assert len(text) > 10 << 20


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
