"""A real guest forks: both go on, each by itself, and neither knows what random numbers the other will have."""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import stop

from qemu_bridge.client import Client
from qemu_bridge.daemon import forks
from qemu_bridge.daemon.forks import find_random, joined
from qemu_bridge.daemon.worker import Worker
from qemu_bridge.errors import BusyNameError, HostError, UsageError
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.launch import launch
from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.wire import connection
from qemu_bridge.wire.records import Grade, Runstate

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
def test_a_fork_whose_shell_still_runs_its_parents_command_is_told_its_name_and_the_time_after_it(machine):
    with ThreadPoolExecutor() as pool, Client.connect(machine.name) as other:
        begun = machine.exec("date +%s")
        busy = pool.submit(other.exec, "sleep 4", 120.0)
        time.sleep(0.5)  # any moment of these 4 s will do
        with forked(machine, "late") as fork:
            name, now = output_of(fork, "hostname; date +%s").split()
            assert name == "late" and int(now) >= int(begun) and abs(int(now) - time.time()) < 10
        assert busy.result().exit_status == 0


@pytest.mark.guest
@pytest.mark.every_kernel
def test_processes_of_a_fork_are_told_that_their_random_numbers_are_old(each_machine):
    client = each_machine.client
    if "vdso_rng_data" not in client.type_names("vdso_rng_data").value:
        pytest.skip("this kernel makes all random numbers itself")
    each_machine.exec("head -c 1 /dev/random >/dev/null")  # once the generator is seeded
    base = client.resolve("sym:base_crng").value.ranges[0].ram_offset
    with each_machine.paused(), forked(each_machine, "aged") as fork:
        one, other = (np.frombuffer(each.ram.view, np.uint64) for each in (client, fork))
        differing = np.flatnonzero(one != other)
        # The kernel keeps its own generation after the key, and tells processes the next number.
        told = int(one[base // 8 + 4]) + 1
        assert np.count_nonzero(one[differing] == told) == 1
        del one, other


@pytest.mark.guest
def test_a_kernel_whose_random_numbers_are_not_all_found_is_refused(machine_612, tmp_path, monkeypatch):
    connection = machine_612.client.connection
    worker = Worker(Path(connection.ram_path), connection.layout, tmp_path / "pages")
    served = SimpleNamespace(worker=worker, connection=connection, state=SimpleNamespace(grade=Grade.LIVE), epoch=0)

    async def find() -> tuple[tuple[int, int], ...]:
        try:
            found = await find_random(served)
            monkeypatch.setattr(forks, "_OF_PROCESSES", ("gone", "*gone_too"))
            with pytest.raises(UsageError, match="vdso_rng_data"):
                await find_random(served)
            return found
        finally:
            await worker.close()

    assert [size for _, size in asyncio.run(find())][-1] == 8


@pytest.mark.guest
def test_what_cannot_be_forked_is_refused_and_leaves_nothing(machine):
    before = files()
    with pytest.raises(BusyNameError, match="runs already"):
        machine.client.fork(machine.name)
    with pytest.raises(UsageError, match="not a valid machine name"):
        machine.client.fork("../x")
    assert files() <= before
    assert machine.client.status().runstate is Runstate.RUNNING


@pytest.mark.guest
def test_a_device_whose_state_qemu_cannot_write_is_refused_and_named(isolated_folders):
    launch(MachineConfig(name="disk", memory=16 << 20, qemu_args=("-S", "-device", "nvme,serial=1")))
    try:
        with Client.connect("disk") as client, pytest.raises(UsageError, match="nvme"):
            client.fork("disk-2")
        assert not connection.is_alive("disk-2")
    finally:
        stop("disk")


@pytest.mark.guest
def test_a_link_that_was_planted_where_a_file_is_to_be_is_not_followed(machine, tmp_path):
    target, pid = tmp_path / "target", machine.client.status().daemon_pid
    target.write_text("as it was")
    planted = connection.ram_folder() / f"{connection.shared_prefix()}planted-{pid}.devices"
    planted.symlink_to(target)
    try:
        with pytest.raises(HostError, match="there already"):
            machine.client.fork("planted")
        assert target.read_text() == "as it was" and not connection.is_alive("planted")
    finally:
        planted.unlink(missing_ok=True)


def test_what_lies_across_a_page_is_one_place_and_what_each_processor_has_is_its_own():
    rows = [(4032, 64), (4096, 64), (20416, 128), (36800, 64), (36864, 64)]
    assert joined(rows) == [(4032, 128), (20416, 128), (36800, 128)] and joined([]) == []
