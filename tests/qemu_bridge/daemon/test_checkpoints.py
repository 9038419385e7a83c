"""A real guest goes back to its checkpoint: RAM byte for byte, and what ran goes on."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.timeline.checkpoints import DEVICES, RAM, folder_of
from qemu_bridge.wire.records import Runstate

pytestmark = pytest.mark.guest
_COUNT = "(i=0; while :; do i=$((i+1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count; usleep 10000; done) >/dev/null 2>&1 </dev/null & echo $! >/tmp/counter"


@pytest.fixture
def counting(machine):
    """The machine, with a process in it that counts; without checkpoints afterwards."""
    machine.exec(_COUNT)
    yield machine
    machine.client.resume()
    machine.exec("kill $(cat /tmp/counter)")
    shutil.rmtree(folder_of(machine.name), ignore_errors=True)


def count_of(machine) -> int:
    return int(machine.exec("until [ -s /tmp/count ]; do usleep 1000; done; cat /tmp/count"))


def test_a_restored_guest_has_the_ram_of_its_checkpoint_and_counts_on_from_there(counting):
    client = counting.client
    before = count_of(counting)
    found = client.checkpoint("before")
    assert found.paused_s > 0 and [each.tag for each in client.checkpoints()] == ["before"]
    counting.exec(f"until [ $(cat /tmp/count) -gt {before + 60} ]; do usleep 10000; done; touch /tmp/later")
    late = count_of(counting)
    epoch = client.dirty().epoch
    client.pause()
    client.restore("before")
    assert client.status().runstate is Runstate.PAUSED
    copy = (folder_of(counting.name) / "before" / RAM).read_bytes()
    assert client.ram.view.tobytes() == copy
    assert client.dirty(epoch).value, "clients are told which pages went back"
    client.resume()
    back = count_of(counting)
    assert before <= back < late
    counting.exec(f"until [ $(cat /tmp/count) -gt {back + 5} ]; do usleep 10000; done")
    assert counting.exec("ls /tmp/later 2>/dev/null || echo none").strip() == b"none"
    assert "init" in [process.name for process in client.ps().value]


def test_what_cannot_be_is_refused_and_leaves_nothing(counting):
    client = counting.client
    client.checkpoint("one")
    with pytest.raises(UsageError, match="already"):
        client.checkpoint("one")
    with pytest.raises(UsageError, match="there are one"):
        client.restore("two")
    assert [path.name for path in folder_of(counting.name).iterdir()] == ["one"]


def test_a_checkpoint_that_does_not_load_leaves_the_machine_paused_and_another_one_mends_it(counting):
    client, folder = counting.client, folder_of(counting.name)
    client.checkpoint("good")
    client.checkpoint("bad")
    client.checkpoint("empty")
    (folder / "empty" / DEVICES).write_bytes(b"")
    with pytest.raises(MachineError):
        client.restore("empty")
    assert client.status().runstate is Runstate.RUNNING, "nothing was touched"
    with open(folder / "bad" / DEVICES, "r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 4)
        file.write(bytes(size // 2))
    with pytest.raises(MachineError, match="stays paused"):
        client.restore("bad")
    assert client.status().runstate is Runstate.PAUSED
    client.restore("good")
    client.resume()
    back = count_of(counting)
    counting.exec(f"until [ $(cat /tmp/count) -gt {back + 5} ]; do usleep 10000; done")


def test_what_a_killed_process_left_of_a_checkpoint_is_removed(counting):
    left = folder_of(counting.name) / ".draft-of-yesterday"
    left.mkdir(parents=True)
    counting.client.checkpoint("next")
    assert [path.name for path in left.parent.iterdir()] == ["next"]


def test_two_that_are_asked_for_at_once_are_taken_one_after_the_other(counting):
    def take(tag):
        with Client.connect(counting.name) as client:
            return client.checkpoint(tag)

    with ThreadPoolExecutor(2) as threads:
        assert [each.tag for each in threads.map(take, ("one", "two"))] == ["one", "two"]
    counting.client.restore("one")
    counting.client.restore("two")
    assert counting.exec("echo alive") == b"alive\n"
