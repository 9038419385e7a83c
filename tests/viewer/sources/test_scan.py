"""Which pages changed, found in slices; and when all of RAM is scanned again."""

from __future__ import annotations

import numpy as np

from viewer.sources.scan import GUEST_WORK_S, IDLE_PAUSE_S, REST_PAUSE_S, ChangeScanner, ScanPolicy


def test_a_scan_finds_exactly_the_changed_pages(source):
    scan = ChangeScanner(source.ram)
    has_bytes = source.ram.memory.any(axis=1) & source.ram.touched
    assert np.array_equal(scan.scan(10), np.flatnonzero(has_bytes))
    assert not len(scan.scan(10))
    changed = np.flatnonzero(source.ram.touched)[[3, 100, 101]]
    source.ram.memory[changed, 17] ^= 1
    assert np.array_equal(scan.scan(10), changed)
    assert scan.is_round_done


def test_a_scan_out_of_time_goes_on_where_it_stopped(source, monkeypatch):
    monkeypatch.setattr("viewer.sources.scan.RUN_PAGES", 50)
    scan = ChangeScanner(source.ram)
    parts = [scan.scan(0)]
    while not scan.is_round_done:
        parts.append(scan.scan(0))
    assert len(parts) > 3
    assert len(np.concatenate(parts)) == len(np.unique(np.concatenate(parts)))


def test_a_scan_finds_any_byte_of_any_page_at_the_edges_of_its_runs(source):
    scan, random = ChangeScanner(source.ram), np.random.default_rng(7)
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
    scan = ChangeScanner(source.ram)
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
    policy = ScanPolicy(lambda: work_s)
    assert policy.is_due(0)
    policy.begin(0)
    policy.end(0.02, True)
    work_s += GUEST_WORK_S / 2
    assert not policy.is_due(REST_PAUSE_S / 2)
    assert policy.is_due(REST_PAUSE_S)
    work_s += GUEST_WORK_S
    assert not policy.is_due(0.05)
    assert policy.is_due(0.15)
    policy.begin(1)
    policy.end(3, True)
    work_s += 1
    assert not policy.is_due(4.9)
    assert policy.is_due(5.1)
    policy.begin(6)
    policy.end(6, False)
    policy.request()
    assert not policy.is_due(6.05)
    assert policy.is_due(6.15)


def test_where_nobody_says_what_the_guest_works_looks_are_fewer_while_nothing_is_found():
    policy, now_s, pauses = ScanPolicy(lambda: None), 0.0, []
    for _ in range(8):
        policy.begin(now_s)
        policy.end(now_s, False)
        before = now_s
        while not policy.is_due(now_s):
            now_s += 0.01
        pauses.append(round(now_s - before, 1))
    assert pauses == sorted(pauses)
    assert pauses[0] < IDLE_PAUSE_S == pauses[-1]
    policy.begin(now_s)
    policy.end(now_s, True)
    assert policy.is_due(now_s + 0.11)


def test_untouched_pages_are_not_read(source):
    source.ram.memory[~source.ram.touched] = 9
    assert not np.isin(ChangeScanner(source.ram).scan(10), np.flatnonzero(~source.ram.touched)).any()
