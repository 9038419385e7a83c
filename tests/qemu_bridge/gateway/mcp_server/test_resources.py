"""What can be read of a machine without asking."""

from __future__ import annotations

import json

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.gateway.mcp_server.machines import Machines
from qemu_bridge.gateway.mcp_server.resources import iter_resources, read_resource

pytestmark = pytest.mark.guest


@pytest.fixture
def machines(machine):
    found = Machines(machine.name)
    yield found
    found.close()


def read(machines, path):
    return json.loads(read_resource(machines, f"glassbox://{path}"))


def test_every_resource_that_is_listed_can_be_read(machines, machine):
    own = [
        uri
        for uri, _, about in iter_resources(machines)
        if about and (f"/{machine.name}/" in uri or uri.endswith("machines"))
    ]
    assert len(own) == 4
    for uri in own:
        assert json.loads(read_resource(machines, uri))


def test_a_page_map_accounts_for_every_page_of_ram(machines, machine):
    found = read(machines, f"{machine.name}/page-map")
    assert sum(row["bytes"] for row in found["classes"]) == machine.ram.size
    assert {"kernel-text", "page-table"} <= {row["class"] for row in found["classes"]}
    assert any(owner["name"] == "init" or "busybox" in owner["name"] for owner in found["largest_owners"])


def test_a_console_is_its_end(machines, machine):
    found = read(machines, f"{machine.name}/console")
    assert "ready" in found["text"] and found["last_bytes"] <= 8192


@pytest.mark.parametrize("path", ["nothing", "x/nothing", "machines/", "../etc/passwd"])
def test_nothing_is_elsewhere(path, machines):
    with pytest.raises(UsageError, match="nothing is at"):
        read(machines, path)
