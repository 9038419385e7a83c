"""Changes are found on a thread and handed on."""

from __future__ import annotations

import threading
import time

import numpy as np
from support import wait_until

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire.records import PageClass
from viewer.sources.scan import IDLE_PAUSE_S
from viewer.sources.watcher import MemoryWatcher


def test_a_feed_hands_out_news_from_its_own_thread(source):
    news = threading.Event()
    watcher = MemoryWatcher(source, news.set)
    watcher.start()
    try:
        assert news.wait(10)
        seen, maps = watcher.take_pages(10), []
        assert len(seen) == 10
        wait_until(lambda: maps.append(watcher.take_page_map()) or maps[-1])
        assert maps[-1].counts()[PageClass.PROCESS_HEAP] == 16
        assert watcher.backlog() > 0
        assert watcher.take_pages(10)[0] > seen[-1]
        assert source.threads == {"viewer-watcher"}
    finally:
        watcher.stop()


def test_a_map_that_says_the_same_wakes_nobody(source, monkeypatch):
    monkeypatch.setattr("viewer.sources.watcher.MAP_PERIOD_S", 0.0)
    source.ram.memory[:] = 0
    news = []
    watcher = MemoryWatcher(source, lambda: news.append(watcher.take_page_map()))
    watcher.start()
    try:
        time.sleep(0.5)
        assert len(news) == 1
        source.entries["page_class"][0] = PageClass.OTHER
        source.ram.memory[np.flatnonzero(source.ram.resident_pages())[0], 0] ^= 1
        deadline = time.monotonic() + 10
        while not any(found is not None for found in news[1:]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [found for found in news if found is not None][-1].entries["page_class"][0] == PageClass.OTHER
    finally:
        watcher.stop()


def test_the_end_of_the_machine_is_kept_as_an_error(source, monkeypatch):
    def gone():
        raise MachineGoneError("machine 'synthetic' has ended; start it again")

    monkeypatch.setattr(source, "validate", gone)
    news = threading.Event()
    watcher = MemoryWatcher(source, news.set)
    watcher.start()
    assert news.wait(10)
    watcher.stop()
    assert isinstance(watcher.error, MachineGoneError)


def test_a_held_feed_reports_nothing_until_it_goes_on(source):
    news = threading.Event()
    watcher = MemoryWatcher(source, news.set)
    assert watcher.toggle_pause()
    watcher.start()
    try:
        assert not news.wait(0.2)
        assert not watcher.toggle_pause()
        assert news.wait(10)
    finally:
        watcher.stop()


def test_watch_of_a_still_guest_rests_only_when_its_last_writes_were_seen(source):
    woken = threading.Event()
    watcher = MemoryWatcher(source, woken.set)
    watcher.start()
    try:
        wait_until(lambda: watcher.is_following)
        watcher.take_pages(1 << 20)
        watcher.set_guest_paused(True)
        source.ram.memory[100] ^= 0xFF
        wait_until(lambda: 100 in watcher.take_pages(1 << 20))
        time.sleep(4 * IDLE_PAUSE_S)
        source.ram.memory[200] ^= 0xFF
        time.sleep(2 * IDLE_PAUSE_S)
        assert watcher.backlog() == 0  # it rests: nobody looks
        watcher.set_guest_paused(False)
        wait_until(lambda: 200 in watcher.take_pages(1 << 20))
    finally:
        watcher.stop()
