"""The frame loop, over memory that a test changes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image
from support import OUT

from qemu_bridge.wire.records import PageClass
from viewer.render.raymarch import PASSES, Renderer

BAR = 28
"""Pixels of the menu and of the status bar."""

pytestmark = pytest.mark.usefixtures("no_errors")


def idle(screen):
    return screen.draw_until(lambda: screen.state.is_idle)


def test_a_picture_is_refined_and_then_rests(screen):
    screen.state.controller.aim(screen.state.controller.goal.orbit(5, 0))
    screen.draw(2)
    assert screen.state.drawn_size < screen.window.surface.size
    first = idle(screen)
    assert screen.window.surface.renderer.passes >= PASSES
    assert screen.state.drawn_size == screen.window.surface.size
    assert np.array_equal(first, idle(screen))


def test_changed_memory_is_drawn_and_the_picture_rests_again(screen):
    before = idle(screen)
    memory = screen.state.source.ram.memory
    pages = np.flatnonzero(screen.state.source.ram.touched)
    memory[pages] = 255
    screen.draw_until(lambda: not screen.state.is_idle)
    after = screen.draw_until(lambda: screen.state.is_idle)
    assert np.abs(before.astype(int) - after).max() > 60


def test_the_glow_of_writes_is_white_and_fades_while_others_are_written(screen):
    """Pixels, not numbers: a page that grows cold while another is written has to be drawn so."""
    memory, classes = screen.state.source.ram.memory, screen.state.source.entries["page_class"]
    text, stack = (np.flatnonzero(classes == c) for c in (PageClass.KERNEL_TEXT, PageClass.PROCESS_STACK))

    idle(screen)
    surface = screen.window.surface
    picked = surface.renderer.pick_pages(screen.state.controller.camera, surface.size)
    shows_text = np.isin(picked, text) & (picked == np.roll(picked, 4, axis=1))

    def share_of_glow(pages):
        memory[pages] ^= 1
        return (screen.draw().min(axis=2) > 215)[shows_text].mean()

    screen.draw_until(lambda: share_of_glow(text) > 0.7)
    Image.fromarray(screen.draw()).save(OUT / "glow.png")
    screen.draw_until(lambda: share_of_glow(stack[:1]) < 0.1)
    assert stack[0] in screen.state.scene.page_style.heat.hot


def test_labels_stand_while_the_picture_does(screen):
    idle(screen)
    assert screen.window.gui.labels
    screen.state.controller.aim(screen.state.controller.goal.orbit(20, 0))
    screen.draw(2)
    assert not screen.window.gui.labels
    idle(screen)
    assert screen.window.gui.labels and len(screen.state.in_view)


def test_a_window_of_no_size_draws_nothing(screen):
    size = screen.window.surface.size
    count = screen.window.frames.count
    screen.window.canvas.set_physical_size(8, 8)
    screen.draw()
    assert screen.window.frames.count == count
    screen.window.canvas.set_physical_size(*size)
    screen.draw()
    assert screen.window.frames.count > count


def test_at_rest_no_frame_is_asked_for(screen, monkeypatch):
    idle(screen)
    screen.draw(3)
    asked = []
    monkeypatch.setattr(screen.window.canvas, "request_draw", lambda: asked.append(time.monotonic()))
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        screen._loop.turn()
        time.sleep(0.01)
    assert not asked


def test_of_a_page_that_changes_only_its_part_of_the_picture_is_drawn(screen, monkeypatch):
    before = idle(screen)
    source, parts = screen.state.source, []
    page = np.flatnonzero(source.entries["page_class"] == PageClass.PROCESS_HEAP)[0]
    draw_pass = Renderer.draw_pass

    def spy(renderer, *words, **named):
        parts.append(named.get("parts"))
        draw_pass(renderer, *words, **named)

    monkeypatch.setattr(Renderer, "draw_pass", spy)
    source.ram.memory[page] ^= 0xFF
    screen.draw_until(lambda: not screen.state.is_idle)
    after = screen.draw_until(lambda: screen.state.is_idle)
    width, height = screen.window.surface.size
    drawn = np.zeros((height, width), np.bool_)
    for part in parts:
        for x, y, columns, rows in part or ():
            drawn[y : y + rows, x : x + columns] = True
    assert 0 < drawn.mean() < 0.3
    changed = np.abs(after.astype(int) - before).max(axis=2) > 2
    changed[:BAR], changed[-BAR:] = False, False
    assert changed.any() and not (changed & ~drawn).any()
