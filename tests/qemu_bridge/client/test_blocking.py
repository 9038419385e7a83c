"""The Python door: what a script sees of a running machine."""

import inspect
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support import wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, UnknownMachineError, UsageError
from qemu_bridge.wire.records import PageClass

pytestmark = pytest.mark.guest


def test_an_unknown_machine_is_a_key_error_with_a_hint():
    with pytest.raises(UnknownMachineError, match="no machine named") as caught:
        Client.connect("nobody")
    assert isinstance(caught.value, KeyError)


def test_ram_is_the_machines_own(machine):
    machine.exec("echo a-needle-in-ram > /tmp/needle")
    assert list(machine.ram.find(b"a-needle-in-ram\n"))
    machine.exec("rm /tmp/needle")


def test_ps_as_records(machine):
    processes = {process.pid: process for process in machine.client.ps()}
    assert processes[1].name == "init" and processes[1].parent_pid == 0
    with pytest.raises(AttributeError):
        processes[1].name = "other"


def test_maps_of_nobody_is_a_usage_error(machine):
    with pytest.raises(UsageError, match="999999"):
        machine.client.maps(999999)


def test_a_page_map_covers_all_of_ram_and_names_owners(machine):
    page_map = machine.client.page_map().value
    assert len(page_map.entries) == machine.ram.page_count
    counts = page_map.counts()
    for page_class in (
        PageClass.KERNEL_TEXT,
        PageClass.PAGE_TABLE,
        PageClass.PROCESS_TEXT,
        PageClass.PROCESS_HEAP,
        PageClass.PROCESS_STACK,
    ):
        assert counts[page_class] > 0, page_class
    owners = set(np.unique(page_map.entries["owner_id"]).tolist())
    assert owners <= set(page_map.owners) and "init" in {owner.name for owner in page_map.owners.values()}


def test_generations_count_up(machine):
    first, second = machine.client.page_map().value, machine.client.page_map().value
    assert second.generation > first.generation


def test_two_clients_do_not_disturb_each_other(machine):
    with Client.connect(machine.name) as other:
        assert other.status().name == machine.client.status().name
    assert machine.client.status().runstate == "running"


def test_cpu_seconds_are_those_of_qemu_and_stand_still_while_it_is_paused(machine):
    pid = machine.client.status().qemu_pid
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    before = machine.client.cpu_seconds()
    assert before == pytest.approx(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), abs=0.1)
    machine.exec("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    assert machine.client.cpu_seconds() > before + 0.02
    machine.client.pause()
    try:
        still = machine.client.cpu_seconds()
        time.sleep(0.3)
        assert machine.client.cpu_seconds() == pytest.approx(still, abs=0.005)
    finally:
        machine.client.resume()


def test_any_thread_may_use_one_client(machine):
    answers = {}

    def ask(number):
        answers[number] = [machine.client.qmp("query-name")["name"] for _ in range(10)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {number: [machine.name] * 10 for number in range(6)}


def test_a_closed_client_says_so(machine):
    client = Client.connect(machine.name)
    client.status()
    client.close()
    with pytest.raises(MachineError, match="is closed"):
        client.status()


def test_wait_for_a_state_that_is_so_already_returns_at_once(machine):
    assert machine.client.wait_for("running").runstate == "running"
    with pytest.raises(MachineError, match="not paused within"):
        machine.client.wait_for("paused", 0.2)


def test_memory_is_read_over_the_socket_as_it_lies_in_the_file(machine):
    with machine.paused():
        first, nothing, last = machine.client.read_memory([(0x1000, 64), (1 << 60, 4), (0x100000, 4096)])
        assert first == machine.ram.read(0x1000, 64) and last == machine.ram.read(0x100000, 4096)
    assert nothing is None


def test_an_answer_in_a_notebook_is_a_table(machine):
    html = machine.client.ps()._repr_html_()
    assert "<td>init</td>" in html and "command_line" in html


def test_threads_that_have_ended_leave_no_sockets(machine):
    with Client.connect(machine.name) as client:
        for _ in range(20):
            thread = threading.Thread(target=client.status)
            thread.start()
            thread.join()
        client.status()
        assert len(client._sockets) <= 2


def test_a_forked_child_has_a_socket_of_its_own(machine):
    machine.client.status()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if machine.client.status().name == machine.name else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert machine.client.status().name == machine.name


def test_a_callback_that_raises_ends_the_job_and_leaves_the_guest_running(machine, tmp_path):
    def fail(done, total):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), machine.client.progress(fail):
        machine.client.capture(str(tmp_path / "never"))
    assert machine.client.status().runstate == "running" and list(tmp_path.iterdir()) == []


def test_methods_tell_their_arguments_and_what_they_do(machine):
    assert list(inspect.signature(machine.client.maps).parameters) == ["pid"]
    assert list(inspect.signature(machine.client.resolve).parameters) == ["target", "by_page"]
    assert "virtual memory areas" in Client.maps.__doc__


def test_what_cannot_be_waited_for_is_said(machine):
    with pytest.raises(UsageError, match="'asleep' cannot be waited for"):
        machine.client.wait_for("asleep")
    for timeout_s in ("soon", float("nan")):
        with pytest.raises(UsageError, match="timeout_s"):
            machine.client.wait_ready(timeout_s)


def test_a_call_ends_when_another_thread_closes_the_client(machine):
    client, errors = Client.connect(machine.name), []

    def wait():
        try:
            client.exec("sleep 5")
        except MachineError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: client._calling)
    client.close()
    thread.join(timeout=30)
    assert errors and "is closed" in errors[0]
