"""What the daemon does itself: status, dirty pages, a shell in the guest."""

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import Origin, Runstate

pytestmark = pytest.mark.guest


def test_status_is_what_qemu_and_the_host_say(machine):
    status = machine.client.status()
    assert (status.name, status.runstate, status.origin) == (machine.name, Runstate.RUNNING, Origin.STARTED)
    assert status.ram_bytes == machine.ram.size
    assert abs(status.touched_bytes - int(machine.ram.resident_pages().sum()) * 4096) < 4 << 20
    assert status.trace == machine.client.trace_status().state
    assert 0 < status.cpu_s <= machine.client.cpu_seconds() and status.daemon_cpu_s > 0
    assert status.uptime_s > 0 and status.daemon_pid == machine.client.connection.daemon_pid
    with machine.paused():
        assert machine.client.status().runstate is Runstate.PAUSED


def test_epochs_of_answers_are_those_of_the_dirty_log(machine):
    epoch = machine.client.dirty().epoch
    answer = machine.client.ps()
    assert answer.epoch == epoch
    machine.exec("dd if=/dev/urandom of=/tmp/epoch bs=64k count=2 2>/dev/null; rm /tmp/epoch")
    changed = machine.client.dirty(answer.epoch)
    assert changed.epoch > epoch and changed.elapsed_s > 0 and sum(end - first for first, end in changed) >= 32


def test_a_command_has_its_output_and_its_status(machine):
    result = machine.client.exec("echo to the left; echo to the right >&2; exit 3")
    assert (result.output, result.errors, result.exit_status) == (b"to the left\n", b"to the right\n", 3)


def test_a_time_that_makes_no_sense_is_the_askers_mistake(machine):
    for timeout_s in (-1.0, 1e9, float("inf")):
        with pytest.raises(UsageError):
            machine.client.exec("true", timeout_s)
    with pytest.raises(UsageError, match="timeout_s"):
        machine.client.wait_ready(-1.0)


def test_the_plugin_tells_its_state(machine):
    status = machine.client.trace_status()
    assert status.state == "disarmed" and len(status.vcpus) == machine.client.status().vcpus
    watch = machine.client.heat_watch(reader_pid=machine.client.connection.daemon_pid)
    assert machine.client.trace_status().heat
    machine.client.heat_unwatch(watch.watcher)
    assert not machine.client.trace_status().heat
