"""Which machine a model means."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.gateway.mcp_server.machines import Machines


def test_without_a_machine_it_is_said_how_to_start_one(monkeypatch):
    monkeypatch.setattr(Machines, "names", lambda self: [])
    with pytest.raises(UsageError, match="glassbox start"):
        Machines().client()


def test_of_several_one_has_to_be_named(monkeypatch):
    monkeypatch.setattr(Machines, "names", lambda self: ["a", "b"])
    with pytest.raises(UsageError, match="a, b"):
        Machines().client()


@pytest.mark.guest
def test_a_client_is_made_once_and_the_default_comes_first(machine):
    machines = Machines(machine.name)
    assert machines.client() is machines.client(machine.name) and machines.names()[0] == machine.name
    machines.close()
