"""A window does what other programs ask of it, and tells what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from support import wait_until

from qemu_bridge.errors import MachineError
from viewer.sources.machine import MachineSource
from viewer.sources.targets import pages_of

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("no_errors")]


@pytest.fixture(scope="module")
def shown(machine, open_screen):
    """A window on the guest, and a function that draws until it has done what it was told."""
    with MachineSource(machine.name) as source:
        screen = open_screen(source)
        screen.draw_until(machine.client.viewers)
        (opened,) = machine.client.viewers()

        def row():
            return next(each for each in machine.client.viewers() if each.session == opened.session)

        def arrive(answer):
            assert answer.value.sessions == (opened.session,)
            screen.draw_until(lambda: row().done >= answer.value.number)
            return row()

        yield screen, arrive
        screen.window.stop()
    wait_until(lambda: not machine.client.viewers())


def test_a_target_stands_out_and_the_camera_is_there(shown, machine):
    screen, arrive = shown
    before = screen.state.controller.goal
    row = arrive(machine.client.highlight("comm:crond/stack"))
    expected = pages_of(machine.client.resolve("comm:crond/stack").value, screen.state.scene.page_count)
    assert screen.state.highlight.target == "comm:crond/stack"
    assert np.array_equal(screen.state.highlight.pages, expected)
    assert row.view.endswith("glow=comm:crond/stack") and not row.problem
    assert screen.state.controller.camera == screen.state.controller.goal != before


def test_without_flying_the_camera_stays(shown, machine):
    screen, arrive = shown
    before = screen.state.controller.goal
    row = arrive(machine.client.highlight("kernel.text", fly=False))
    assert screen.state.controller.goal == before and "glow=kernel.text" in row.view


def test_a_byte_is_selected(shown, machine):
    screen, arrive = shown
    arrive(machine.client.fly_to("init_task"))
    assert screen.state.pin == machine.client.identify("init_task").value.ram_offset


def test_a_view_is_shown(shown, machine):
    _, arrive = shown
    row = arrive(machine.client.fly_to(view="yaw=77,mode=entropy"))
    assert "yaw=77" in row.view and "mode=entropy" in row.view
    assert not row.problem


def test_of_two_at_once_the_newer_one_stays(shown, machine):
    screen, arrive = shown
    machine.client.highlight("comm:crond")
    arrive(machine.client.fly_to(view="yaw=200"))
    arrive(machine.client.highlight(""))
    assert screen.state.highlight is None and round(screen.state.controller.goal.yaw % 360) == 200


def test_a_script_waits_until_the_camera_rests(shown, machine):
    screen, _ = shown
    told = machine.client.fly_to(view="yaw=99").value
    with pytest.raises(MachineError, match="did not get there"):
        machine.client.wait_for_viewers(told, timeout_s=0)
    screen.draw_until(lambda: machine.client.viewers()[0].done == told.number)
    (row,) = machine.client.wait_for_viewers(told)
    assert "yaw=99" in row.view
