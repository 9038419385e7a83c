"""What executes is seen, and nothing stays armed."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from support import wait_until

from qemu_bridge.client import Client
from qemu_bridge.protocol import PageClass
from viewer.execution import ExecutionWatch

CODE = (PageClass.KERNEL_TEXT, PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE, PageClass.MODULE)


@pytest.mark.guest
def test_pages_that_execute_are_code_and_the_plugin_is_disarmed_afterwards(machine):
    woken = threading.Event()
    watch = ExecutionWatch(lambda: Client.connect(machine.name), machine.ram.page_count, woken.set)
    watch.start()
    try:
        wait_until(lambda: machine.client.trace_status()["state"] == "armed")
        machine.exec("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done")
        wait_until(lambda: watch.counts.max() > 10_000)
        hottest = np.argsort(watch.counts)[-10:]
        page_class = machine.client.page_map().entries["page_class"][hottest]
        assert np.isin(page_class, CODE).all() and woken.is_set() and not watch.problem
    finally:
        watch.stop()
    assert machine.client.trace_status()["state"] == "disarmed"


@pytest.mark.guest
def test_a_machine_that_is_watched_already_is_a_sentence(machine):
    with machine.client.heat():
        watch = ExecutionWatch(lambda: Client.connect(machine.name), machine.ram.page_count, lambda: None)
        watch.start()
        wait_until(lambda: watch.problem)
        watch.stop()
    assert ";" in watch.problem
