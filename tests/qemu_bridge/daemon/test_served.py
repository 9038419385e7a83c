"""The parts of a served machine: made when needed, and no sooner."""

from pathlib import Path

import pytest

from qemu_bridge.daemon.backends.image import RamImage
from qemu_bridge.daemon.served import ServedMachine
from qemu_bridge.errors import MachineError
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.wire.connection import Connection
from qemu_bridge.wire.records import Grade, Origin

SIZE = 1 << 20


@pytest.fixture
def machine(tmp_path):
    ram = tmp_path / "ram"
    ram.write_bytes(bytes(SIZE))
    regions = tuple((int(r.start), int(r.offset), r.size) for r in RamLayout.from_rule("pc", SIZE).regions)
    connection = Connection(
        "still", "running", 1, "ipc://c", "ipc://e", str(ram), regions, str(tmp_path / "pages"), "", "", "log", "pc", "none",
        origin=Origin.IMAGE,
    )  # fmt: skip
    config = MachineConfig("still", memory=SIZE, smp=0, accelerator="none")
    return ServedMachine(config, RamImage(Path(ram)), connection)


def test_an_image_is_ready_and_its_answers_are_of_a_capture(machine):
    assert machine.state.ready and machine.state.grade is Grade.CAPTURE


def test_the_dirty_log_is_not_made_to_learn_its_epoch(machine):
    assert (
        machine.epoch == 0
        and machine.dirty_strategy == "static"
        and "dirty_log" not in vars(machine)
        and "ram" not in vars(machine)
    )
    machine.dirty_log.advance()
    assert machine.epoch == 1 and machine.dirty_strategy == machine.dirty_log.strategy.name


def test_a_machine_without_the_plugin_says_why(machine):
    with pytest.raises(MachineError, match="no plugin that traces"):
        _ = machine.trace
