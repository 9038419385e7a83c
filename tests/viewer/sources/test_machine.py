"""A running machine as a source."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UnknownMachineError
from viewer.sources.machine import MachineSource


def test_a_machine_that_does_not_run_is_named():
    with pytest.raises(UnknownMachineError, match="no-such-machine"):
        MachineSource("no-such-machine")


@pytest.mark.guest
def test_a_machine_has_every_capability_but_a_comparison(machine):
    with MachineSource(machine.name) as source:
        check(machine, source)


def check(machine, source):
    assert source.title.startswith(f"{machine.name} · 128 MiB RAM") and "Linux" in source.refresh_title()
    assert source.comparison is None and source.guest_work_s() > 0
    assert len(source.ram.view) == 1 << 27 and source.page_map().counts()
    with source.connect() as client:
        assert client.name == machine.name
    with source.reopen() as again:
        assert again.title == source.title
    source.validate()
