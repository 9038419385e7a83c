"""A window's dealings with its machine: it goes, it returns, it answers."""

from __future__ import annotations

import time

import numpy as np
import pytest
from synthetic import SyntheticSource

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire.records import Runstate
from viewer.app import appearance, selection
from viewer.app.glow import FoundPages
from viewer.sources.queries import QueryResult
from viewer.view.look import Mode

pytestmark = pytest.mark.usefixtures("no_errors")


def put(state, topic, value, error=""):
    state.queries._results[topic] = QueryResult(None, value, error, time.monotonic())


def test_results_change_the_state_once(screen):
    put(screen.state, "runstate", Runstate.RUNNING)
    put(screen.state, "highlight", FoundPages("some pages", np.array([0x45]), False))
    screen.draw()
    assert screen.state.runstate is Runstate.RUNNING
    assert screen.state.highlight.title == "some pages" and screen.state.pin == 0x45000
    selection.select(screen.state, None)
    screen.draw()
    assert screen.state.pin is None
    put(screen.state, "follow", None, "no such place")
    screen.draw(2)
    assert [message.text for message in screen.state.messages].count("no such place") == 1


def test_nothing_executes_where_there_is_no_machine(screen):
    screen.window.session.toggle_execution()
    assert screen.state.messages[-1].is_problem
    assert screen.state.scene.look.mode is Mode.CLASS


def test_a_machine_that_goes_is_told_of_and_shown_again_when_it_returns(screen):
    source = screen.state.source
    returned = SyntheticSource()
    attempts = iter((MachineGoneError("synthetic is not there"), None))

    def validate():
        raise MachineGoneError("synthetic has ended")

    def reopen():
        if error := next(attempts):
            raise error
        return returned

    appearance.set_look(screen.state, look := screen.state.scene.look)
    source.validate, source.reopen = validate, reopen
    screen.draw_until(lambda: screen.state.watcher.error is not None)
    screen.draw_until(lambda: any("waiting for it to return" in message.text for message in screen.state.messages))
    screen.draw_until(lambda: screen.state.source is not source)
    assert screen.state.source is returned
    assert screen.state.scene.look == look
    screen.draw_until(lambda: screen.state.is_idle)
    assert screen.state.messages[-1].text == "synthetic is running again"
