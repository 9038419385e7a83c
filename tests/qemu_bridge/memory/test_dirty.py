"""Dirty pages: nothing that changes is missed, whoever asks and however often."""

import mmap
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.memory.addresses import PAGE_SIZE, RamLayout
from qemu_bridge.memory.dirty import Comparison, DirtyLog, SoftDirty, choose_strategy
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.memory.soft_dirty import host_has_soft_dirty

PAGES = 64


class Written:
    """A RAM file that this process writes through a mapping, as QEMU does."""

    def __init__(self, path):
        path.write_bytes(b"")
        os.truncate(path, PAGES * PAGE_SIZE)
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.ram = GuestRam(path, RamLayout.from_rule("pc", PAGES * PAGE_SIZE))

    def write(self, page, value=None):
        old = self.map[page * PAGE_SIZE]
        self.map[page * PAGE_SIZE] = (old + 1) % 256 if value is None else value


@pytest.fixture
def written(tmp_path):
    found = Written(tmp_path / "ram")
    yield found
    found.ram.close()


def test_the_first_look_reports_what_was_touched_even_if_zero(written):
    written.write(3, 1)
    written.write(5, 0)
    assert Comparison(written.ram).collect().tolist() == [3, 5]


def test_a_page_without_change_is_not_reported_again(written):
    strategy = Comparison(written.ram)
    written.write(3)
    assert strategy.collect().tolist() == [3]
    assert strategy.collect().tolist() == []
    written.write(3)
    assert strategy.collect().tolist() == [3]


@settings(max_examples=50)
@given(rounds=st.lists(st.sets(st.integers(0, PAGES - 1)), max_size=6))
def test_each_asker_sees_every_change_since_its_own_epoch(tmp_path_factory, rounds):
    written = Written(tmp_path_factory.mktemp("dirty") / "ram")
    log = DirtyLog(Comparison(written.ram), PAGES)
    epochs = [log.advance()]
    for pages in rounds:
        for page in pages:
            written.write(page)
        epochs.append(log.advance())
    for number, epoch in enumerate(epochs):
        pages, _ = log.since(epoch)
        assert set(pages.tolist()) == set().union(*rounds[number:])
    written.ram.close()


def test_epoch_zero_asks_for_everything_touched(written):
    log = DirtyLog(Comparison(written.ram), PAGES)
    written.write(1)
    log.advance()
    written.write(2)
    assert log.since(0)[0].tolist() == [1, 2]


def test_the_strategy_is_the_one_that_this_kernel_can(written):
    chosen = choose_strategy(written.ram, os.getpid())
    assert chosen.name == ("soft-dirty" if host_has_soft_dirty() else "comparison")
    assert choose_strategy(written.ram, None).name == "comparison"


@pytest.mark.guest
def test_what_the_guest_writes_is_dirty(machine):
    epoch = machine.client.dirty().epoch
    machine.exec("dd if=/dev/urandom of=/tmp/dirt bs=4096 count=64 2>/dev/null")
    digest = machine.exec("md5sum /tmp/dirt")
    with machine.paused():
        runs = machine.client.dirty(epoch).value
        assert sum(end - first for first, end in runs) >= 64
        resident = machine.ram.resident_pages()
        assert all(resident[first:end].all() for first, end in runs)
    machine.exec("rm /tmp/dirt")
    assert digest


@pytest.mark.skipif(
    not host_has_soft_dirty(), reason="this kernel is built without soft-dirty; comparison is tested above"
)
def test_soft_dirty_agrees_with_comparison(written):
    # A child writes, since a process cannot stop itself and go on.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        for byte in iter(lambda: os.read(reader, 1), b""):
            written.write(byte[0])
        os._exit(0)
    exact, marks = Comparison(written.ram), SoftDirty(written.ram, child)
    exact.collect(), marks.collect()
    os.write(writer, bytes([7, 9]))
    while not np.isin([7, 9], exact.collect()).all():
        pass
    assert {7, 9} <= set(marks.collect().tolist())
    os.close(writer)
    os.waitpid(child, 0)
