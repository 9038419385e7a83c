"""What executes is seen, and nothing stays armed."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from support import wait_until

from qemu_bridge.client import Client
from qemu_bridge.wire.records import PageClass
from viewer.sources.execution import ExecutionWatch
from viewer.sources.queries import Queries

CODE = (PageClass.KERNEL_TEXT, PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE, PageClass.MODULE)


@pytest.mark.guest
def test_pages_that_execute_are_code_and_the_plugin_is_disarmed_afterwards(machine):
    woken = threading.Event()
    watch = ExecutionWatch(lambda: Client.connect(machine.name), machine.ram.page_count, woken.set)
    watch.start()
    try:
        wait_until(lambda: machine.client.trace_status().heat)
        machine.exec("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done")
        wait_until(lambda: watch.counts.max() > 10_000)
        hottest = np.argsort(watch.counts)[-10:]
        page_class = machine.client.page_map().value.entries["page_class"][hottest]
        assert np.isin(page_class, CODE).all() and woken.is_set() and not watch.problem
    finally:
        watch.stop()
    assert not machine.client.trace_status().heat


@pytest.mark.guest
def test_a_second_watch_counts_beside_the_first_and_names_who_stored_last(machine):
    queries = Queries(lambda: Client.connect(machine.name), lambda: None)
    queries.start()
    with machine.client.heat() as heat:
        before = heat.stores.copy()
        watch = ExecutionWatch(lambda: Client.connect(machine.name), machine.ram.page_count, lambda: None)
        watch.start()
        machine.exec("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done")
        hottest = int((heat.stores - before).argmax()) << 12
        with machine.paused():
            wait_until(lambda: "last written by" in watch.writers(queries, hottest)[0])
        watch.stop()
        assert heat.is_armed and not watch.problem
    queries.stop()
