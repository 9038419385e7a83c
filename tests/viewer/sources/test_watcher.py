"""Changes are found, in slices, and handed on."""

from __future__ import annotations

import threading
import time

import numpy as np
from support import wait_until

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire.records import PageClass
from viewer.sources.live import GUEST_WORK_S, IDLE_PAUSE_S, REST_PAUSE_S, ChangeScan, Feed, Tempo


def test_a_scan_finds_exactly_the_changed_pages(source):
    scan = ChangeScan(source.ram)
    has_bytes = source.ram.memory.any(axis=1) & source.ram.touched
    assert np.array_equal(scan.scan(10), np.flatnonzero(has_bytes))
    assert not len(scan.scan(10))
    changed = np.flatnonzero(source.ram.touched)[[3, 100, 101]]
    source.ram.memory[changed, 17] ^= 1
    assert np.array_equal(scan.scan(10), changed)
    assert scan.is_round_done


def test_a_scan_out_of_time_goes_on_where_it_stopped(source, monkeypatch):
    monkeypatch.setattr("viewer.sources.live.RUN_PAGES", 50)
    scan = ChangeScan(source.ram)
    parts = [scan.scan(0)]
    while not scan.is_round_done:
        parts.append(scan.scan(0))
    assert len(parts) > 3
    assert len(np.concatenate(parts)) == len(np.unique(np.concatenate(parts)))


def test_a_scan_finds_any_byte_of_any_page_at_the_edges_of_its_runs(source):
    scan, random = ChangeScan(source.ram), np.random.default_rng(7)
    scan.scan(10)
    touched = np.flatnonzero(source.ram.touched)
    for _ in range(40):
        pages = np.unique(random.choice(touched, 6))
        source.ram.memory[pages, random.integers(0, 4096, len(pages))] ^= 0x80
        assert np.array_equal(scan.scan(10), pages)
    fresh = np.flatnonzero(~source.ram.touched)[[0, 30]]
    source.ram.touched[fresh] = True
    source.ram.memory[fresh, 4095] = 1
    assert np.array_equal(scan.scan(10), fresh)


def test_pages_given_back_and_new_ones_are_found_whatever_they_hold(source):
    scan = ChangeScan(source.ram)
    scan.scan(10)
    gone, fresh = np.flatnonzero(source.ram.touched)[[5, 90]], np.flatnonzero(~source.ram.touched)[[0, 30]]
    source.ram.touched = source.ram.touched.copy()  # a RAM file answers anew each time
    source.ram.touched[gone], source.ram.touched[fresh] = False, True
    content, source.ram.memory[gone] = source.ram.memory[gone], 0
    assert scan.scan(10).tolist() == sorted([*gone.tolist(), *fresh.tolist()])
    assert not scan.touched[gone].any() and scan.touched[fresh].all()
    assert not len(scan.scan(10))
    source.ram.touched = source.ram.touched.copy()
    source.ram.touched[gone] = True
    source.ram.memory[gone] = content
    assert np.array_equal(scan.scan(10), gone)


def test_ram_is_looked_through_again_when_the_guest_has_worked():
    work_s = 5.0
    tempo = Tempo(lambda: work_s)
    assert tempo.is_due(0)
    tempo.begin(0)
    tempo.end(0.02, True)
    work_s += GUEST_WORK_S / 2
    assert not tempo.is_due(REST_PAUSE_S / 2)
    assert tempo.is_due(REST_PAUSE_S)
    work_s += GUEST_WORK_S
    assert not tempo.is_due(0.05)
    assert tempo.is_due(0.15)
    tempo.begin(1)
    tempo.end(3, True)
    work_s += 1
    assert not tempo.is_due(4.9)
    assert tempo.is_due(5.1)
    tempo.begin(6)
    tempo.end(6, False)
    tempo.hurry()
    assert not tempo.is_due(6.05)
    assert tempo.is_due(6.15)


def test_where_nobody_says_what_the_guest_works_looks_are_fewer_while_nothing_is_found():
    tempo, now_s, pauses = Tempo(lambda: None), 0.0, []
    for _ in range(8):
        tempo.begin(now_s)
        tempo.end(now_s, False)
        before = now_s
        while not tempo.is_due(now_s):
            now_s += 0.01
        pauses.append(round(now_s - before, 1))
    assert pauses == sorted(pauses)
    assert pauses[0] < IDLE_PAUSE_S == pauses[-1]
    tempo.begin(now_s)
    tempo.end(now_s, True)
    assert tempo.is_due(now_s + 0.11)


def test_untouched_pages_are_not_read(source):
    source.ram.memory[~source.ram.touched] = 9
    assert not np.isin(ChangeScan(source.ram).scan(10), np.flatnonzero(~source.ram.touched)).any()


def test_a_feed_hands_out_news_from_its_own_thread(source):
    news = threading.Event()
    feed = Feed(source, news.set)
    feed.start()
    try:
        assert news.wait(10)
        seen, maps = feed.take_pages(10), []
        assert len(seen) == 10
        wait_until(lambda: maps.append(feed.take_page_map()) or maps[-1])
        assert maps[-1].counts()[PageClass.PROCESS_HEAP] == 16
        assert feed.backlog() > 0
        assert feed.take_pages(10)[0] > seen[-1]
        assert source.threads == {"viewer-feed"}
    finally:
        feed.stop()


def test_a_map_that_says_the_same_wakes_nobody(source, monkeypatch):
    monkeypatch.setattr("viewer.sources.live.MAP_PERIOD_S", 0.0)
    source.ram.memory[:] = 0
    news = []
    feed = Feed(source, lambda: news.append(feed.take_page_map()))
    feed.start()
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
        feed.stop()


def test_the_end_of_the_machine_is_kept_as_an_error(source, monkeypatch):
    def gone():
        raise MachineGoneError("machine 'synthetic' has ended; start it again")

    monkeypatch.setattr(source, "validate", gone)
    news = threading.Event()
    feed = Feed(source, news.set)
    feed.start()
    assert news.wait(10)
    feed.stop()
    assert isinstance(feed.error, MachineGoneError)


def test_a_held_feed_reports_nothing_until_it_goes_on(source):
    news = threading.Event()
    feed = Feed(source, news.set)
    assert feed.toggle_pause()
    feed.start()
    try:
        assert not news.wait(0.2)
        assert not feed.toggle_pause()
        assert news.wait(10)
    finally:
        feed.stop()


def test_watch_of_a_still_guest_rests_only_when_its_last_writes_were_seen(source):
    woken = threading.Event()
    feed = Feed(source, woken.set)
    feed.start()
    try:
        wait_until(lambda: feed.is_following)
        feed.take_pages(1 << 20)
        feed.set_still(True)
        source.ram.memory[100] ^= 0xFF
        wait_until(lambda: 100 in feed.take_pages(1 << 20))
        time.sleep(4 * IDLE_PAUSE_S)
        source.ram.memory[200] ^= 0xFF
        time.sleep(2 * IDLE_PAUSE_S)
        assert feed.backlog() == 0  # it rests: nobody looks
        feed.set_still(False)
        wait_until(lambda: 200 in feed.take_pages(1 << 20))
    finally:
        feed.stop()
