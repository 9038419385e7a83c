"""A running machine as a source."""

from __future__ import annotations

import numpy as np
import pytest
from listening import attached, own_keys, trust
from support import wait_until

from qemu_bridge.errors import UnknownMachineError
from viewer.sources.machine import MachineSource, open_machines
from viewer.sources.scan import ChangeScanner
from viewer.sources.watcher import MemoryWatcher


def test_a_machine_that_does_not_run_is_named():
    with pytest.raises(UnknownMachineError, match="no-such-machine"):
        MachineSource("no-such-machine")


@pytest.mark.guest
def test_a_machine_has_every_capability_but_a_comparison(machine):
    with MachineSource(machine.name) as source:
        check(machine, source)


def check(machine, source):
    assert source.title.startswith(f"{machine.name} · 128 MiB RAM") and "Linux" in source.refresh_title()
    assert source.comparison is None and source.guest_work_s() > 0
    assert len(source.ram.view) == 1 << 27 and source.page_map().counts()
    with source.connect() as client:
        assert client.name == machine.name
    with source.reopen() as again:
        assert again.title == source.title
    source.validate()


def test_of_a_followed_machine_elsewhere_a_scan_brings_the_memory_here(tmp_path, monkeypatch):
    content = np.random.default_rng(4).integers(1, 256, 6 << 20, np.uint8)
    (tmp_path / "image").write_bytes(content.tobytes())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own_keys("read")
    with attached("followed", ram=tmp_path / "image") as found:
        (source,) = open_machines([trust(found)], is_followed=True)
        with source:
            watcher = MemoryWatcher(source, lambda: None)
            assert not source.ram.view.any()
            scan = ChangeScanner(source.ram)
            first = scan.scan(0)
            assert 0 < len(first) < len(content) // 4096 and not scan.is_round_done and source.ram.view.any()
            while not scan.is_round_done:
                scan.scan(0)
            assert np.array_equal(source.ram.view, content)
            watcher.start()
            wait_until(lambda: watcher.is_following)
            assert watcher.stop()
        with source.reopen() as again:
            assert not again.ram.view.any()
