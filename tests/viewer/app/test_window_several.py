"""A window on several machines: one of them is active, what is asked is asked of all, and each comes and goes by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from support import booted, wait_until
from synthetic import SyntheticSource

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from viewer.app import highlighting, hits, navigation, selection
from viewer.app.glow import FoundPages
from viewer.app.panels.command_palette import find_in_ram, go_to
from viewer.app.state import Hits
from viewer.sources.machine import MachineSource
from viewer.sources.queries import QueryResult
from viewer.sources.targets import pages_of
from viewer.view.look import Mode
from viewer.view.views import format_view, parse_view

pytestmark = pytest.mark.usefixtures("no_errors")


def named(name):
    return SyntheticSource(f"{name} · 2 MiB RAM")


@pytest.fixture(scope="module")
def pair(open_screen):
    screen = open_screen(named("one"), named("other"))
    screen.draw_until(lambda: screen.state.is_idle)
    return screen


def put(machine, topic, value):
    machine.queries._results[topic] = QueryResult(None, value, "", time.monotonic())


def spot_of(screen, number):
    """A pixel in the midst of what shows of a machine, and the page there."""
    surface = screen.window.surface
    picks = surface.renderer.pick(screen.state.controller.camera, surface.size)
    mask = picks.pages_of(number) >= 0
    mask[:60], mask[-60:], mask[:, :240] = False, False, False
    y, x = np.argwhere(mask)[mask.sum() // 2].tolist()
    return x, y, int(picks.pages[y, x])


def click(screen, x, y):
    for kind in ("pointer_down", "pointer_up"):
        screen.send(kind, x=float(x), y=float(y), buttons=(1,), button=1)


def test_a_click_selects_a_byte_of_the_machine_that_is_there(pair):
    state = pair.state
    for number, name in ((1, "other"), (0, "one")):
        state.open_panel("details", False)
        pair.draw_until(lambda: not state.controller.is_moving)
        x, y, page = spot_of(pair, number)
        click(pair, x, y)
        assert (state.active_number, state.name, state.pin >> PAGE_SHIFT) == (number, name, page)
        assert selection.pinned(state).name == name
    assert pair.window.session is pair.window.sessions[0]
    selection.select(state, None)


def test_the_text_of_a_view_names_the_machine_of_the_selected_byte(pair):
    state = pair.state
    selection.select(state, 0x45010, 1)
    text = format_view(state.view)
    assert "pin=0x45010,machine=other" in text
    selection.select(state, 0x45010, 0)
    assert "machine" not in format_view(state.view)
    navigation.jump(state, text)
    assert (state.active_number, state.pin) == (1, 0x45010)
    navigation.jump(state, "machine=nobody,pin=0x10")
    assert "one, other" in state.messages[-1].text and state.pin == 0x45010
    assert parse_view(text, state.view).machine == "other"
    selection.select(state, None, 0)


def test_what_answers_in_both_machines_stands_out_in_both_and_is_flown_to(pair):
    state = pair.state
    first, second = state.machines
    put(first, "highlight", FoundPages("heap", np.array([0x45]), True, "pid:1/heap"))
    pair.draw()
    near = state.controller.goal
    put(second, "highlight", FoundPages("heap", np.array([0x46]), True, "pid:1/heap"))
    pair.draw()
    assert [machine.highlight.pages.tolist() for machine in state.machines] == [[0x45], [0x46]]
    assert state.controller.goal.distance > 1.5 * near.distance  # both are seen
    x, _, depth = navigation.project(
        state,
        np.stack(
            [
                np.mean(scene.box_of(np.array([page])), axis=0)
                for scene, page in zip(state.scenes, (0x45, 0x46), strict=True)
            ]
        ),
        state.controller.goal,
    ).T
    assert (np.abs(x) < 1).all() and (depth > 0).all() and state.active_number == 0 and state.pin == 0x45000
    assert state.view.glow == "pid:1/heap"
    pair.press("x")
    assert all(machine.highlight is None and not machine.scene.page_style.has_marks for machine in state.machines)
    navigation.go_home(state)
    state.controller.settle()
    pair.draw()


def test_hits_of_all_machines_are_gone_through_one_after_the_other(pair):
    state = pair.state
    selection.select(state, None, 0)
    found = [Hits('"root', np.array(offsets)) for offsets in ([0x45010, 0x46000], [0x45020])]
    hits.add(state, 1, found[1])
    hits.add(state, 0, found[0])
    assert hits.summary(state) == '"root: 3 hits'
    visited = []
    for _ in range(4):
        hits.step(state, 1)
        visited.append((state.name, state.pin))
    assert visited == [("one", 0x45010), ("one", 0x46000), ("other", 0x45020), ("one", 0x45010)]
    hits.step(state, -1)
    assert (state.name, state.hit) == ("other", 2)
    hits.add(state, 0, Hits('"root', np.array([0x45010])))  # asked again: it is one less
    assert hits.summary(state) == '"root: 2 of 2'
    state.tab = "Hits"
    pair.draw(2)
    hits.add(state, 0, Hits("x:00", np.array([0x10]), is_complete=False))
    assert hits.summary(state) == "x:00: 1 or more hits"
    hits.show(state, None)
    selection.select(state, None, 0)


def test_keys_and_looks_are_of_all_machines(pair):
    state = pair.state
    highlighting.highlight_class(state, state.scene.look.visible.__iter__().__next__(), fly=False)
    pair.press("x")
    pair.press("m")
    assert {scene.look.mode for scene in state.scenes} == {Mode.OWNER}
    pair.press("u")
    assert {scene.look.mode for scene in state.scenes} == {Mode.CLASS}
    pair.press(" ")
    assert "frozen" in state.messages[-1].text
    pair.press(" ")
    assert "live" in state.messages[-1].text


def saturation(picture, screen, number):
    """How far from grey the pixels are, in the middle, that show a machine."""
    surface = screen.window.surface
    mask = surface.renderer.pick(screen.state.controller.camera, surface.size).pages_of(number) >= 0
    mask[:60], mask[-60:], mask[:, :240] = False, False, False
    inside = picture[mask].astype(int)
    return float(np.median(inside.max(axis=1) - inside.min(axis=1)))


def test_a_machine_that_ends_is_grey_until_one_of_its_name_returns(open_screen):
    source, returned = named("comes"), named("comes")
    screen = open_screen(named("stays"), source)
    state, is_back = screen.state, []

    def validate():
        raise MachineGoneError("comes has ended")

    def reopen():
        if not is_back:
            raise MachineGoneError("comes is not there")
        return returned

    state.open_panel("details", False)
    before = screen.draw_until(lambda: state.is_idle)
    assert min(saturation(before, screen, number) for number in (0, 1)) > 40
    source.validate, source.reopen = validate, reopen
    screen.draw_until(lambda: state.machines[1].scene.is_ended)
    after = screen.draw_until(lambda: screen.window.surface.renderer.passes > 8)
    assert saturation(after, screen, 1) < 15 < 40 < saturation(after, screen, 0)
    assert any("waiting for it to return" in message.text for message in state.messages)
    is_back.append(True)
    screen.draw_until(lambda: state.machines[1].source is returned)
    after = screen.draw_until(lambda: screen.window.surface.renderer.passes > 8 and not state.backlog)
    assert saturation(after, screen, 1) > 40 and state.scenes[1].origin[0] > 0


def test_a_machine_that_returns_with_less_memory_leaves_no_place_behind_its_end(open_screen):
    source, returned, is_back = named("comes"), named("comes"), []
    pages = 300  # fewer than before
    returned.entries, returned.ram.memory = returned.entries[:pages], returned.ram.memory[:pages].copy()
    returned.ram.touched = returned.ram.touched[:pages]
    screen = open_screen(named("stays"), source)
    state, last = screen.state, len(source.ram.view) - 0x800

    def validate():
        if not is_back:
            raise MachineGoneError("comes has ended")

    def reopen():
        if not is_back:
            raise MachineGoneError("comes is not there")
        return returned

    for panel in ("details", "minimap", "layers"):
        state.open_panel(panel)
    selection.select(state, last, 1)
    hits.add(state, 0, Hits("both", np.array([0x45010])))
    hits.add(state, 1, Hits("both", np.array([0x45010, last])))
    highlighting.highlight_pages(state, "both", np.array([last >> PAGE_SHIFT]), fly=True)
    screen.draw_until(lambda: len(state.in_view) and not state.controller.is_moving)
    source.validate, source.reopen = validate, reopen
    screen.draw_until(lambda: state.machines[1].scene.is_ended)
    is_back.append(True)
    screen.draw_until(lambda: state.machines[1].source is returned)
    assert (state.hits.offsets.tolist(), state.hits.machines.tolist(), state.pin) == ([0x45010], [0], None)
    for tab in ("Inspector", "Hits", "Processes", "Overlays", "Launches", "Views"):
        state.tab = tab
        screen.draw(2)
    for number in (0, 1):
        hits.forget(state, number)
    assert state.hits is None and not screen.window.has_lost_device


@pytest.mark.guest
def test_another_program_selects_a_byte_of_the_machine_that_it_speaks_to(machine, machine_612, open_screen):
    with MachineSource(machine.name) as one, MachineSource(machine_612.name) as other:
        screen = open_screen(one, other)
        state = screen.state
        try:
            screen.draw_until(lambda: machine.client.viewers() and machine_612.client.viewers())
            for number, guest in ((1, machine_612), (0, machine), (1, machine_612)):
                told = guest.client.fly_to("init_task").value
                screen.draw_until(lambda: any(row.done >= told.number for row in guest.client.viewers()))  # noqa: B023
                place = guest.client.identify("init_task").value.ram_offset
                assert (state.active_number, state.pin) == (number, place)
                told = guest.client.fly_to(view="pin=0x1000000").value
                screen.draw_until(lambda: any(row.done >= told.number for row in guest.client.viewers()))  # noqa: B023
                assert (state.active_number, state.pin) == (number, 0x1000000)
        finally:
            screen.window.stop()


@pytest.mark.guest
def test_a_search_finds_its_place_in_each_guest(machine, machine_612, open_screen):
    with MachineSource(machine.name) as one, MachineSource(machine_612.name) as other:
        screen = open_screen(one, other)
        state, guests = screen.state, (machine, machine_612)
        try:
            go_to(state, "init_task")
            screen.draw_until(lambda: all(each.highlight is not None for each in state.machines))
            for each, guest in zip(state.machines, guests, strict=True):
                wanted = pages_of(guest.client.resolve("sym:init_task").value, each.scene.page_count)
                assert np.array_equal(each.highlight.pages, wanted)
            assert state.pin == machine.client.identify("init_task").value.ram_offset
            find_in_ram(state, '"Linux version ')
            screen.draw_until(lambda: state.hits is not None and len(set(state.hits.machines.tolist())) == 2)
            for number, guest in enumerate(guests):
                own = state.hits.offsets[state.hits.machines == number]
                assert all(guest.ram.view[at : at + 14].tobytes() == b"Linux version " for at in own.tolist())
            assert state.messages and screen.window.surface.renderer.scenes[1].name == machine_612.name
        finally:
            screen.window.stop()


@pytest.mark.guest
@pytest.mark.long
def test_a_guest_that_is_stopped_is_grey_until_it_is_started_again(machine, image, open_screen):
    with (
        booted("comes", image, memory=96 << 20) as guest,
        MachineSource(machine.name) as one,
        contextlib.ExitStack() as ends,
    ):
        screen = open_screen(one, ends.enter_context(MachineSource("comes")))
        state = screen.state
        try:
            screen.draw_until(lambda: not state.backlog and all(each.watcher.is_following for each in state.machines))
            first = state.machines[1].source
            guest.client.stop()
            screen.draw_until(lambda: state.machines[1].scene.is_ended)
            assert state.machines[0].watcher.error is None
            with booted("comes", image, memory=128 << 20):
                screen.draw_until(lambda: state.machines[1].source is not first)
                ends.enter_context(state.machines[1].source)
                assert not state.machines[1].scene.is_ended and state.scenes[1].page_count == 32768
                go_to(state, "sym:init_task")
                screen.draw_until(lambda: all(each.highlight is not None for each in state.machines))
                screen.window.stop()
        finally:
            screen.window.stop()


needs_display = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="Xvfb or xdotool is missing"
)


@needs_display
@pytest.mark.guest
@pytest.mark.window
@pytest.mark.long
def test_a_click_in_a_window_of_the_desktop_names_the_machine(machine, machine_612, display):
    environment = os.environ | {"DISPLAY": display}

    def xdotool(*words):
        done = subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    command = [sys.executable, "-m", "qemu_bridge.cli", "view", machine.name, machine_612.name, "--size", "800x600"]
    with subprocess.Popen([*command, "--at", "labels=0"], env=environment, stderr=subprocess.PIPE, text=True) as viewer:
        try:
            both = f"Glass Box - {machine.name}, {machine_612.name}"
            wait_until(lambda: both in xdotool("search", "--name", "Glass Box", "getwindowname"))
            report = lambda guest: [row.view for row in guest.client.viewers()]  # noqa: E731
            wait_until(lambda: report(machine) and report(machine)[0])
            for x in range(250, 560, 12):
                xdotool("mousemove", str(x), "330", "click", "1")
                if any("machine=" in text for text in report(machine)):
                    break
                time.sleep(0.3)
            wait_until(lambda: any(f"machine={machine_612.name}" in text for text in report(machine)))
        finally:
            xdotool("key", "q")
            assert viewer.wait(60) == 0
