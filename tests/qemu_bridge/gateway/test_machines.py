"""Clients of machines by name, and the list of machines."""

import asyncio

import pytest

from qemu_bridge.errors import UnknownMachineError, UsageError
from qemu_bridge.gateway.machines import Machines


@pytest.mark.parametrize("name", ["../x", "/tmp/capture", ".", ""])
def test_no_path_is_a_machine(name):
    with pytest.raises(UsageError, match="machine name"):
        Machines().client(name)


@pytest.mark.guest
def test_the_list_has_every_machine_and_strangers_are_unknown(machine):
    async def run():
        machines = Machines()
        try:
            with pytest.raises(UnknownMachineError):
                machines.client("nobody")
            assert machines.client(machine.name) is machines.client(machine.name)
            return await machines.list_status()
        finally:
            await machines.close()

    assert machine.name in [status.name for status in asyncio.run(run())]
