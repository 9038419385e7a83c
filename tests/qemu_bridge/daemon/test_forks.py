"""A real guest forks: both go on, each by itself, and neither knows what random numbers the other will have."""

import contextlib

import numpy as np
import pytest

from qemu_bridge.client import Client
from qemu_bridge.daemon.forks import joined
from qemu_bridge.errors import BusyNameError, UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.wire import connection
from qemu_bridge.wire.records import Runstate

_COUNT = "(i=0; while :; do i=$((i+1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count; usleep 10000; done) >/dev/null 2>&1 </dev/null & echo $! >/tmp/counter"
_LOOK = "i=$(cat /tmp/count); until [ $(cat /tmp/count) -gt $((i+3)) ]; do usleep 10000; done; hostname; head -c 16 /dev/urandom | hexdump"


@contextlib.contextmanager
def forked(parent, name):
    """A fork of the machine; what was its own is gone afterwards."""
    parent.client.fork(name)
    with Client.connect(name) as client:
        try:
            yield client
        finally:
            client.stop()
            for _ in client.events():
                pass


def output_of(client, command) -> str:
    found = client.exec(command, 120.0)
    assert found.exit_status == 0, found
    return found.output.decode()


def files() -> set[str]:
    return {path.name for folder in (connection.ram_folder(), connection.runtime_folder()) for path in folder.iterdir()}


@pytest.mark.guest
def test_a_fork_goes_on_beside_its_parent_with_a_name_and_random_numbers_of_its_own(machine):
    machine.exec(_COUNT)
    before = files()
    try:
        with forked(machine, "twin") as twin:
            name, *numbers = output_of(twin, f"touch /tmp/only-here; {_LOOK}").splitlines()
            own, *others = output_of(machine.client, f"{_LOOK}; ! ls /tmp/only-here").splitlines()
            assert name == "twin" != own and len(numbers) == len(others) and numbers[0] != others[0]
            assert "init" in [process.name for process in twin.ps().value]
            with pytest.raises(BusyNameError, match="another name"):
                machine.client.fork("twin")
        assert files() <= before
    finally:
        machine.exec("kill $(cat /tmp/counter)")


@pytest.mark.guest
def test_forks_of_one_moment_differ_from_it_in_nothing_but_all_that_random_numbers_are_made_from(machine):
    secret = [f"sym:{name}" for name in ("base_crng", "input_pool", "crngs", "batched_entropy_u32")]
    places = [each for target in secret for each in machine.client.resolve(target).value.ranges]
    with machine.paused(), forked(machine, "first") as first, forked(machine, "second") as second:
        assert {first.status().runstate, second.status().runstate} == {Runstate.PAUSED}
        rams = [np.frombuffer(client.ram.view, np.uint8) for client in (machine.client, first, second)]
        for one, other in ((rams[0], rams[1]), (rams[0], rams[2]), (rams[1], rams[2])):
            differing = np.flatnonzero(one != other)
            assert {int(at) // PAGE_SIZE for at in differing} >= {each.ram_offset // PAGE_SIZE for each in places}
            assert len(differing) <= 2 * len(places) * 128, "RAM is that of the parent, byte for byte, elsewhere"
            for each in places:
                key = slice(each.ram_offset, each.ram_offset + 32)
                assert np.count_nonzero(one[key] != other[key]) > 16
        del rams, one, other


@pytest.mark.guest
def test_what_cannot_be_forked_is_refused_and_leaves_nothing(machine):
    before = files()
    with pytest.raises(BusyNameError, match="runs already"):
        machine.client.fork(machine.name)
    with pytest.raises(UsageError, match="not a valid machine name"):
        machine.client.fork("../x")
    assert files() <= before
    assert machine.client.status().runstate is Runstate.RUNNING


def test_what_lies_across_a_page_is_one_place_and_what_each_processor_has_is_its_own():
    rows = [(4032, 64), (4096, 64), (20416, 128), (36800, 64), (36864, 64)]
    assert joined(rows) == [(4032, 128), (20416, 128), (36800, 128)] and joined([]) == []
