"""Who has the port to a GPU open, against /proc/PID/fd."""

import pytest
from support import wait_until

from qemu_bridge.machine.gpu import PORT_NAME

pytestmark = pytest.mark.guest
HOLD = "(exec 7<>{path}; >/tmp/holds; sleep 1000 & echo $! >/tmp/child; exec sleep 1000) >/dev/null 2>&1 & echo $! >/tmp/parent"


def test_nobody_has_a_port_in_a_guest_without_one(machine):
    found = machine.client.overlay("gpu-port").value
    assert found.complete and not found.rows


def test_those_who_have_it_are_those_of_proc(gpu_machine):
    look = f"grep -lx {PORT_NAME} /sys/class/virtio-ports/*/name | cut -d/ -f5"
    path = "/dev/" + gpu_machine.exec(look).decode().strip()
    assert not gpu_machine.client.overlay("gpu-port").value.rows
    gpu_machine.exec(HOLD.format(path=path) + "; while [ ! -s /tmp/child ]; do usleep 10000; done")
    try:
        wait_until(lambda: len(gpu_machine.client.overlay("gpu-port").value.rows) == 2)
        found = gpu_machine.client.overlay("gpu-port").value
        inside = gpu_machine.exec(
            f'for f in /proc/[0-9]*/fd/*; do [ "$(readlink $f)" = {path} ] && echo $f; done; true'
        ).decode()
        expected = {(int(line.split("/")[2]), int(line.split("/")[4])) for line in inside.splitlines()}
        assert {(row["pid"], row["descriptor"]) for row in found.rows} == expected and len(expected) == 2
        assert {(row["name"], row["path"]) for row in found.rows} == {("sleep", path)}
    finally:
        gpu_machine.exec("kill $(cat /tmp/parent /tmp/child); rm -f /tmp/holds /tmp/parent /tmp/child")
    wait_until(lambda: not gpu_machine.client.overlay("gpu-port").value.rows)
