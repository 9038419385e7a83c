"""The words that colour pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene
from viewer.render.page_style import HIGHLIGHTED, LIT, SELECTED
from viewer.view.look import Look, Mode


def device_words(scene):
    words = np.frombuffer(scene.device.queue.read_buffer(scene.page_style.buffer), np.uint32)
    return words[: scene.page_count], words[scene.page_count : 3 * scene.page_count].reshape(-1, 2)


def test_marks_reach_the_device_and_the_cells_and_leave_again(device, source):
    scene = load_scene(source, device)
    scene.select(np.array([70, 71, 400, 9999]))
    scene.highlight(np.array([71]), np.array([1 << 40 | 3], np.uint64))
    words, lines = device_words(scene)
    assert np.flatnonzero(words & SELECTED).tolist() == [70, 71, 400]
    assert np.flatnonzero(words & HIGHLIGHTED).tolist() == [71]
    assert lines[71].tolist() == [3, 1 << 8]
    cells = np.frombuffer(device.queue.read_buffer(scene.page_table.cell_buffer), np.uint32)
    assert np.count_nonzero(cells >> 30 == 3) == 2
    scene.select(np.zeros(0, np.int64))
    scene.highlight(np.zeros(0, np.int64))
    assert not device_words(scene)[0].any()
    assert not (np.frombuffer(device.queue.read_buffer(scene.page_table.cell_buffer), np.uint32) >> 30).any()


def test_written_pages_glow_and_fade_and_those_seen_first_do_not(device, source):
    scene = load_scene(source, device)
    pages = np.array([70, 71])
    scene.update_pages(source.ram.view, pages, np.array([True, False]), 10.0)
    words = device_words(scene)[0]
    assert words[70] >> 8 & 255 == 255
    assert words[70] & LIT
    assert not words[71]
    assert not scene.is_settled
    assert scene.advance(source.ram.view, 11.0)
    assert 0 < device_words(scene)[0][70] >> 8 & 255 < 200
    scene.advance(source.ram.view, 60.0)
    assert not device_words(scene)[0].any()
    assert scene.is_settled
    assert not scene.advance(source.ram.view, 61.0)


def test_a_page_fades_while_others_are_written_all_the_time(device, source):
    scene = load_scene(source, device)
    scene.update_pages(source.ram.view, np.array([70]), np.array([True]), 10.0)
    for step in range(1, 101):
        scene.update_pages(source.ram.view, np.array([71]), np.array([True]), 10.0 + step / 5)
    words = device_words(scene)[0]
    assert not words[70] and words[71] >> 8 & 255 == 255


def test_hidden_pages_are_never_lit(device, source):
    scene = load_scene(source, device)
    scene.select(np.array([0, 70]))  # page 0 was never touched
    assert np.flatnonzero(device_words(scene)[0] & LIT).tolist() == [70]
    scene.toggle([PageClass.KERNEL_TEXT])
    assert not (device_words(scene)[0] & LIT).any()


def test_values_are_those_of_the_mode(device, source):
    scene = load_scene(source, device)
    scene.set_look(Look(mode=Mode.ENTROPY))
    while not scene.is_settled:
        scene.advance(source.ram.view, 0.0)
    values = device_words(scene)[0] & 255
    assert np.array_equal(values, scene.page_style.entropy.values)
    assert values[70] > 150 > values[0] == 0
    counts = np.zeros(scene.page_count, np.uint32)
    counts[70] = 9
    scene.set_executions(counts)
    scene.set_look(Look(mode=Mode.EXECUTION))
    assert np.flatnonzero(device_words(scene)[0] & 255).tolist() == [70]
    counts[71] = 3
    scene.advance(source.ram.view, 5.0)
    assert np.flatnonzero(device_words(scene)[0] & 255).tolist() == [70, 71]
    scene.set_difference(np.array([0, 1, 2, 3], np.uint8))
    scene.set_look(replace(scene.look, mode=Mode.DIFFERENCE))
    assert (device_words(scene)[0][:5] & 255).tolist() == [0, 85, 170, 255, 0]
