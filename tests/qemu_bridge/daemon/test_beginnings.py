"""A machine begins at a moment of another one, or not at all: then nothing of it is left."""

import pytest

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.machine.config import MachineConfig, find_qemu
from qemu_bridge.machine.launch import hand_over, waiting_daemon
from qemu_bridge.machine.requests import Moment, StartRequest
from qemu_bridge.wire import connection


@pytest.mark.guest
@pytest.mark.parametrize("state", [b"QEVM\0\0\0\3\x04" + bytes(range(256)) * 8, None])
def test_a_state_that_qemu_cannot_load_is_told_and_nothing_of_the_machine_is_left(state, tmp_path, isolated_folders):
    ram, devices = connection.ram_folder() / "broken.ram", tmp_path / "devices"
    with open(ram, "wb") as file:
        file.truncate(16 << 20)
    if state is not None:
        devices.write_bytes(state)
    config = MachineConfig(name="broken", memory=16 << 20)
    moment = Moment(ram, devices, None, ((4096, 32),))
    with waiting_daemon() as daemon, pytest.raises(GlassBoxError, match=r"state|QEMU"):
        hand_over(daemon, StartRequest(config, find_qemu(), moment=moment))
    assert not connection.is_alive("broken")
    left = [*connection.ram_folder().iterdir(), *connection.runtime_folder().iterdir()]
    assert not [path for path in left if "broken" in path.name]
