"""Pages of learned loops, against the file that they are of."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from support import wait_until

from qemu_bridge.memory.addresses import PAGE_SIZE, RamLayout, RamRegion
from qemu_bridge.wire.picture_records import SnapOptions
from tcg_plugin import layout
from viewer.picture.legend import find_all_labels
from viewer.picture.offscreen import load_scene, show_learned
from viewer.picture.snap import snap
from viewer.render.raymarch import Renderer
from viewer.sources.learned import LearnedKind, LearnedWatch, learned_pages
from viewer.sources.machine import MachineSource
from viewer.view.camera import default_camera
from viewer.view.look import Look, Mode

PLACES = (0x10000, 0x20000, 0x20800, 0x30000)
"""In /bin/busybox."""


def row(physical, state="waiting", proved=False, gain=None, name="loop"):
    return {"name": name, "physical": physical, "state": state, "proved": proved, "gain": gain}


def test_of_several_loops_in_a_page_the_highest_kind_counts_and_all_are_named():
    rows = (
        row(0x5000),
        row(0x6010, proved=True, name="one"),
        row(0x6020, "in place", gain=3.14, name="two"),
        row(0x7000, "refused", proved=True),
        row(0x8000, "compared", proved=True),
        row(None),
        row(1 << 40),
    )
    found = learned_pages(rows, RamLayout((RamRegion(0, 0, 16 * PAGE_SIZE),)), 16)
    assert {page: LearnedKind(found.kinds[page]).name for page in np.flatnonzero(found.kinds)} == {
        5: "LEARNED",
        6: "IN_PLACE",
        7: "REFUSED",
        8: "PROVED",
    }
    assert found.words[6] == "one; two 3.1x" and set(found.words) == {5, 6, 7, 8}


@contextmanager
def loops(control):
    """Loops of busybox in the file that a machine's plugin shares, as it has them where it runs some."""
    rows = (layout.LearnedRow * layout.MAX_LEARNED).from_buffer(control.mapping, control.block.learned_offset)
    for number, place in enumerate(PLACES):
        rows[number].name, rows[number].head = f"busybox+{place:#x}".encode(), 0x400000 + place
        rows[number].proved = number > 0
    rows[2].rounds, rows[2].slices, rows[2].ns, rows[2].round_ps = 1000, 10, 2000, 5000
    rows[3].mismatches = 1
    control.block.learned_count = len(PLACES)
    try:
        yield rows
    finally:
        control.block.learned_count = 0


@pytest.mark.guest
def test_a_page_that_is_coloured_holds_the_loop(machine, control, tmp_path):
    machine.exec("cat /bin/busybox > /dev/null")
    woken, wanted = threading.Event(), {}
    for place in PLACES:
        wanted[place & -PAGE_SIZE] = machine.exec(f"dd if=/bin/busybox bs=4096 skip={place >> 12} count=1 2> /dev/null")
    with MachineSource(machine.name) as source, loops(control) as rows:
        watch, told = LearnedWatch(source, woken.set), []
        assert watch.follow(False) is None

        def is_told() -> bool:
            told.extend(filter(None, [watch.follow(True)]))
            return bool(told)

        wait_until(is_told)
        assert woken.is_set()
        pages = np.flatnonzero(told[0].kinds)
        kinds = {
            source.ram.view[page << 12 : (page + 1) << 12].tobytes(): told[0].kinds[page] for page in pages.tolist()
        }
        assert kinds == {
            wanted[0x10000]: LearnedKind.LEARNED,
            wanted[0x20000]: LearnedKind.IN_PLACE,
            wanted[0x30000]: LearnedKind.REFUSED,
        }
        rows[0].mismatches = 1
        told.clear()
        wait_until(is_told)
        assert told[0].kinds.tolist().count(LearnedKind.REFUSED) == 2
        watch.stop()
        wait_until(lambda: not any(thread.name == "viewer-learned" for thread in threading.enumerate()))

        found = snap(source, SnapOptions(str(tmp_path / "learned.png"), 640, 360, "mode=learned"))
        assert "mode=learned" in found.at
        scene = load_scene(source)
        scene.set_look(Look(mode=Mode.LEARNED))
        show_learned([scene], [source])
        assert np.array_equal(scene.page_style.learned.kinds, told[0].kinds)
        camera = default_camera(scene.relative_extent).framing(*scene.content_box(), 1.6)
        labels = find_all_labels([scene], Renderer(scene).pick(camera, (1280, 720)), beside_legend=False)
        assert {label.text for label in labels} == {*told[0].words.values()}
