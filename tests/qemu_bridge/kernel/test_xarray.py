"""The XArray: the table of pids, against /proc, and one that bends into a circle."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import GuestError
from qemu_bridge.kernel.xarray import iter_entries

pytestmark = pytest.mark.guest


@pytest.mark.every_kernel
def test_the_table_of_pids_has_the_threads_of_proc(each_machine):
    space = each_machine.context.objects
    inside = set(map(int, each_machine.exec("cd /proc; ls -d [0-9]*/task/[0-9]* | cut -d/ -f3").split()))
    space.forget()
    head = space.symbol("init_pid_ns", "pid_namespace")["idr.idr_rt.xa_head"]
    found = dict(iter_entries(space, head))
    assert len(inside) > 30 and len(inside - set(found)) <= 4  # the shell and what it ran have ended
    assert len(set(found.values())) == len(found)


def test_a_single_entry_needs_no_node(machine):
    assert list(iter_entries(machine.context.objects, 0x1000)) == [(0, 0x1000)]
    assert list(iter_entries(machine.context.objects, 0)) == []


def test_a_node_that_leads_to_itself_is_an_error(machine, monkeypatch):
    space = machine.context.objects
    node = space.at("xa_node", 0xFFFF888000000000)
    shift_at, slots_at = node.at("shift"), node.at("slots")

    def read(address, length):
        if address == shift_at:
            return b"\6"
        assert address == slots_at
        return (node.address + 2).to_bytes(8, "little") * (length // 8)

    monkeypatch.setattr(space, "read", read)
    with pytest.raises(GuestError, match="no end"):
        list(iter_entries(space, node.address + 2))
