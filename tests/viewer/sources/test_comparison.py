"""A machine's memory against a capture of it."""

from __future__ import annotations

import subprocess
import time

import numpy as np
import pytest

from qemu_bridge.captures.compare import Change
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene, show_view
from viewer.render.page_colours import page_colours
from viewer.sources.comparison import Comparison, with_difference
from viewer.sources.source import MemoryOnlySource
from viewer.view.camera import default_camera
from viewer.view.look import Mode, value_ramp
from viewer.view.views import View, parse_view

pytestmark = pytest.mark.usefixtures("no_errors")

PAGE = 4096


def write_ram(path, pages, count=64):
    with open(path, "wb") as file:
        file.truncate(count * PAGE)
        for page, content in pages.items():
            file.seek(page * PAGE)
            file.write(content * PAGE)
    return GuestRam(path, RamLayout.from_rule("pc", count * PAGE))


def give_back(path, page):
    """As a balloon does."""
    words = ["fallocate", "--punch-hole", "--offset", str(page * PAGE), "--length", str(PAGE), str(path)]
    subprocess.run(words, check=True, timeout=10)


class Compared(MemoryOnlySource):
    """A source over a RAM file, compared with another."""

    title = "compared"

    def __init__(self, folder):
        before = write_ram(folder / "a", {page: b"x" for page in range(10)})
        self.path = folder / "b"
        self.ram = write_ram(self.path, {**{page: b"x" for page in range(8)}, 3: b"y", 40: b"z"})
        self.comparison = Comparison(before, self.ram)

    def page_map(self):
        entries = np.zeros(64, ENTRY)
        entries["page_class"] = np.where(self.ram.resident_pages(), PageClass.KERNEL_DATA, PageClass.UNTOUCHED)
        return PageMap(entries, {})

    def write(self, page, content):
        with self.path.open("r+b") as file:
            file.seek(page * PAGE)
            file.write(content * PAGE)


def test_pages_are_compared_at_first_and_again_as_they_are_written(tmp_path):
    source = Compared(tmp_path)
    kinds = source.comparison.kinds
    assert np.flatnonzero(kinds).tolist() == [3, 8, 9, 40]
    assert kinds[[3, 8, 40]].tolist() == [Change.CHANGED, Change.GONE, Change.APPEARED]
    for page, content in ((3, b"x"), (5, b"n"), (8, b"x"), (50, b"x")):
        source.write(page, content)
    changed = source.comparison.update(np.array([3, 5, 6, 8, 50, 999]), np.ones(6, np.bool_))
    assert changed.tolist() == [3, 5, 8, 50]
    assert not len(source.comparison.update(np.zeros(0, np.int64), np.zeros(0, np.bool_)))
    assert kinds[[3, 5, 8, 50]].tolist() == [Change.SAME, Change.CHANGED, Change.SAME, Change.APPEARED]
    assert kinds[[9, 40]].tolist() == [Change.GONE, Change.APPEARED]


def test_a_picture_shows_what_differs_in_its_colours(tmp_path, device):
    source = Compared(tmp_path)
    scene = load_scene(source, device)
    view = parse_view(with_difference("shade=0"), View(default_camera()))
    assert view.look.mode is Mode.DIFFERENCE
    show_view(scene, source.ram, view)
    colours = page_colours(scene)[:, :3].tolist()
    changed, appeared = value_ramp(scene.look)[85].tolist(), value_ramp(scene.look)[170].tolist()
    assert (colours[3], colours[40]) == (changed, appeared)
    assert colours[1] not in (changed, appeared)
    source.write(1, b"n")
    source.comparison.update(np.array([1]), np.array([True]))
    scene.update_pages(source.ram.view, np.array([1]), np.array([True]), 1.0)
    assert page_colours(scene)[1, :3].tolist() == changed


def test_machines_that_lie_otherwise_cannot_be_compared(tmp_path):
    with pytest.raises(UsageError, match="one machine"):
        Comparison(write_ram(tmp_path / "a", {}), write_ram(tmp_path / "b", {}, 128))


@pytest.mark.parametrize(
    ("text", "becomes"),
    [("", "mode=difference"), ("yaw=3", "yaw=3,mode=difference"), ("mode=class,yaw=3", "mode=class,yaw=3")],
)
def test_a_view_shows_the_difference_unless_it_names_a_colouring(text, becomes):
    assert with_difference(text) == becomes


def test_memory_cut_short_while_it_is_open_is_drawn_as_far_as_it_goes(tmp_path, device):
    source = Compared(tmp_path)
    with source.path.open("r+b") as file:
        file.truncate(2 * PAGE)
    assert load_scene(source, device).page_map.counts()[PageClass.KERNEL_DATA] == 2


def test_a_window_shows_what_changes_appears_and_goes_while_it_is_open(tmp_path, open_screen):
    source = Compared(tmp_path)
    kinds = source.comparison.kinds
    screen = open_screen(source)
    screen.draw_until(lambda: screen.state.watcher.is_following and not screen.state.watcher.backlog())
    assert screen.state.scene.look.mode is Mode.DIFFERENCE
    assert kinds[[1, 2, 40, 41, 50]].tolist() == [0, 0, Change.APPEARED, 0, 0]
    source.write(1, b"n")
    give_back(source.path, 2)
    give_back(source.path, 40)
    source.write(41, b"\0")
    source.write(50, b"x")
    # Page 41 is touched for the first time, but holds what it held.
    wanted = [Change.CHANGED, Change.GONE, Change.SAME, Change.SAME, Change.APPEARED]
    screen.draw_until(lambda: kinds[[1, 2, 40, 41, 50]].tolist() == wanted)
    # Looking on gave nothing back its memory, and what was drawn of it is gone.
    time.sleep(0.3)
    screen.draw(3)
    assert not source.ram.resident_pages()[[2, 40]].any()
    screen.draw_until(lambda: screen.state.is_idle)
    fresh = load_scene(source, screen.state.scene.device)
    assert np.array_equal(screen.state.scene.pool.read_voxels(), fresh.pool.read_voxels())
    colours, steps = page_colours(screen.state.scene)[:, :3].tolist(), value_ramp(screen.state.scene.look)
    told = [steps[85 * kind].tolist() for kind in wanted]
    assert [colours[page] for page in (1, 2, 50)] == [*told[:2], told[4]]


def test_what_a_page_was_is_there_for_pages_that_were(tmp_path):
    comparison = Compared(tmp_path).comparison
    assert comparison.before(3) == b"x" * PAGE
    assert comparison.before(40) is None and comparison.before(64) is None
