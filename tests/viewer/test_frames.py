"""The frame loop, over memory that a test changes."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.raymarch import PASSES

pytestmark = pytest.mark.usefixtures("no_errors")


def idle(screen):
    return screen.draw_until(lambda: screen.desk.is_idle)


def test_a_picture_is_refined_and_then_rests(screen):
    screen.desk.eye.aim(screen.desk.eye.goal.orbit(5, 0))
    screen.draw(2)
    assert screen.desk.drawn_size < screen.window.surface.size
    first = idle(screen)
    assert screen.window.surface.renderer.passes >= PASSES
    assert screen.desk.drawn_size == screen.window.surface.size
    assert np.array_equal(first, idle(screen))


def test_changed_memory_is_drawn_and_the_picture_rests_again(screen):
    before = idle(screen)
    memory = screen.desk.source.ram.memory
    pages = np.flatnonzero(screen.desk.source.ram.touched)
    memory[pages] = 255
    screen.draw_until(lambda: not screen.desk.is_idle)
    after = screen.draw_until(lambda: screen.desk.is_idle, 30)
    assert np.abs(before.astype(int) - after).max() > 60


def test_labels_stand_while_the_picture_does(screen):
    idle(screen)
    assert screen.window.gui.labels
    screen.desk.eye.aim(screen.desk.eye.goal.orbit(20, 0))
    screen.draw(2)
    assert not screen.window.gui.labels
    idle(screen)
    assert screen.window.gui.labels and len(screen.desk.in_view)


def test_a_window_of_no_size_draws_nothing(screen):
    size = screen.window.surface.size
    count = screen.window.frames.count
    screen.window.canvas.set_physical_size(8, 8)
    screen.draw()
    assert screen.window.frames.count == count
    screen.window.canvas.set_physical_size(*size)
    screen.draw()
    assert screen.window.frames.count > count
