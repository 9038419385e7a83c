"""The colouring of pages that several machines hold, against a comparison byte by byte."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import SyntheticSource

from qemu_bridge.wire.picture_records import SnapOptions
from viewer.picture.legend_entries import explain, legend_entries
from viewer.picture.offscreen import compare_content, load_scene, load_scenes
from viewer.picture.snap import snap
from viewer.render.equal_pages import EqualPages
from viewer.sources.machine import MachineSource
from viewer.view.look import Look, Mode
from viewer.view.palette import EQUAL_COLOURS


def holders_by_bytes(rams, touched):
    """How many of the machines hold each page, by putting the bytes themselves into sets."""
    pages = [
        [ram[n << 12 : n + 1 << 12].tobytes() for n in np.flatnonzero(own)]
        for ram, own in zip(rams, touched, strict=True)
    ]
    sets = [set(own) - {bytes(4096)} for own in pages]
    found = []
    for own, mask in zip(pages, touched, strict=True):
        counts = np.zeros(len(mask), np.uint8)
        counts[mask] = [sum(page in each for each in sets) for page in own]
        found.append(counts)
    return found


@pytest.fixture
def sources():
    found = [SyntheticSource() for _ in range(3)]
    found[1].ram.memory[100:140] ^= 0x55
    found[1].ram.memory[300] = found[0].ram.memory[130]
    found[2].ram.memory[120:200] ^= 0x33
    return found


def test_the_colour_of_a_page_says_how_many_machines_hold_it(device, sources):
    scenes = load_scenes(sources)
    for scene in scenes:
        scene.set_look(Look(mode=Mode.EQUAL))
    compare_content(scenes, sources)
    expected = holders_by_bytes([each.ram.view for each in sources], [each.ram.touched for each in sources])
    for scene, counts in zip(scenes, expected, strict=True):
        assert np.array_equal(scene.page_style.holders, counts)
        values = scene.page_style.words & 255
        assert np.array_equal(values, 85 * (np.maximum(counts, 1).astype(int) - 1))
    rows = legend_entries(*scenes)
    totals = np.bincount(np.concatenate(expected), minlength=4)[1:] << 12
    assert [row.size_bytes for row in rows] == totals.tolist() and totals.all()
    assert [row.colour for row in rows] == list(EQUAL_COLOURS[:3]) and explain(*scenes) == ("", "")


def test_what_is_written_is_compared_again_and_not_in_every_frame(device, sources):
    scenes, equal = load_scenes(sources[:2]), EqualPages()
    rams = [each.ram.view for each in sources[:2]]
    assert not equal.update(scenes, rams, 0.0)  # another colouring shows
    for scene in scenes:
        scene.set_look(Look(mode=Mode.EQUAL))
    while equal.update(scenes, rams, 0.0):
        pass
    page = np.array([110])
    assert scenes[0].page_style.holders[110] == 1
    sources[1].ram.memory[110] = sources[0].ram.memory[110]
    scenes[1].update_pages(rams[1], page, np.ones(1, np.bool_), 0.1)
    assert equal.update(scenes, rams, 0.1) and scenes[0].page_style.holders[110] == 1
    assert equal.update(scenes, rams, 0.3) and scenes[0].page_style.holders[110] == 2
    assert not equal.update(scenes, rams, 0.4)


def test_one_machine_alone_says_that_there_is_none_to_compare_with(device, sources):
    scene = load_scene(sources[0], device)
    scene.set_look(Look(mode=Mode.EQUAL))
    assert "one machine only" in explain(scene)[0] and scene.is_settled
    assert not EqualPages().update([scene], [sources[0].ram.view], 0.0)


@pytest.mark.guest
def test_two_guests_share_the_programs_they_run(machine, machine_612, tmp_path):
    with MachineSource(machine.name) as one, MachineSource(machine_612.name) as other:
        sources = (one, other)
        snap(one, SnapOptions(str(tmp_path / "equal.png"), 320, 180, "mode=equal"), others=(other,))
        with machine.paused(), machine_612.paused():
            scenes = load_scenes(sources)
            for scene in scenes:
                scene.set_look(Look(mode=Mode.EQUAL))
            compare_content(scenes, sources)
            rams = [each.ram.view for each in sources]
            expected = holders_by_bytes(rams, [each.ram.resident_pages() for each in sources])
            for scene, counts in zip(scenes, expected, strict=True):
                assert np.array_equal(scene.page_style.holders, counts)
                # Each guest holds the same BusyBox and musl, in its page cache.
                assert (counts == 2).sum() > 100
