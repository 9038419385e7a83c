"""A machine begins at a moment of another one, or not at all: then nothing of it is left."""

import asyncio
import time

import pytest

from qemu_bridge.daemon.beginnings import _introduction, _wait_free
from qemu_bridge.errors import GlassBoxError, MachineError, MachineGoneError, UsageError
from qemu_bridge.machine.config import MachineConfig, find_qemu
from qemu_bridge.machine.launch import hand_over, waiting_daemon
from qemu_bridge.machine.requests import Moment, StartRequest
from qemu_bridge.wire import connection


@pytest.mark.guest
@pytest.mark.parametrize(
    ("state", "checksum"),
    [(b"QEVM\0\0\0\3\x04" + bytes(range(256)) * 8, None), (None, None), (b"of another moment", 7)],
)
def test_a_state_that_qemu_cannot_load_is_told_and_nothing_of_the_machine_is_left(
    state, checksum, tmp_path, isolated_folders
):
    ram, devices = connection.ram_folder() / "broken.ram", tmp_path / "devices"
    with open(ram, "wb") as file:
        file.truncate(16 << 20)
    if state is not None:
        devices.write_bytes(state)
    config = MachineConfig(name="broken", memory=16 << 20)
    moment = Moment(ram, devices, None, ((4096, 32),), checksum=checksum)
    with (
        waiting_daemon() as daemon,
        pytest.raises(GlassBoxError, match=r"state|QEMU" if checksum is None else "another moment"),
    ):
        hand_over(daemon, StartRequest(config, find_qemu(), moment=moment))
    assert not connection.is_alive("broken")
    left = [*connection.ram_folder().iterdir(), *connection.runtime_folder().iterdir()]
    assert not [path for path in left if "broken" in path.name]


@pytest.mark.guest
@pytest.mark.parametrize("broken", ["", "hostname", "date"])
def test_each_step_that_fails_counts_and_the_others_are_tried(broken, machine):
    kept = machine.exec("hostname").decode().strip()
    prefix = f"{broken}() {{ echo no {broken} >&2; return 1; }}; " if broken else ""
    try:
        told = machine.client.exec(prefix + _introduction("told", time.time()), 60.0)
        assert (told.exit_status != 0) is bool(broken) and told.errors.decode().count(f"no {broken}") >= bool(broken)
        assert machine.exec("hostname").decode().strip() == (kept if broken == "hostname" else "told")
        assert abs(int(machine.exec("date +%s")) - time.time()) < 60
    finally:
        machine.exec(f"hostname {kept}; sed -i '/ told$/d' /etc/hosts")


def test_a_shell_that_does_not_answer_is_asked_again_and_one_that_is_gone_is_not():
    async def run(command, timeout_s):
        raise answers.pop(0)

    for last in (MachineGoneError("it ended"), UsageError("it answers")):
        answers = [MachineError("it is busy"), MachineError("it is busy"), last]
        with pytest.raises(type(last), match=str(last)):
            asyncio.run(_wait_free(run))
        assert not answers
