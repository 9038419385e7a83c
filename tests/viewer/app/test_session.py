"""A window's dealings with its machine: it goes, it returns, it answers."""

from __future__ import annotations

import time

import numpy as np
import pytest
from synthetic import SyntheticSource

from qemu_bridge.errors import MachineGoneError
from viewer.sources.questions import Answer
from viewer.view.look import Mode

pytestmark = pytest.mark.usefixtures("no_errors")


def put(desk, topic, value, error=""):
    desk.questions._answers[topic] = Answer(None, value, error, time.monotonic())


def test_answers_change_the_desk_once(screen):
    put(screen.desk, "status", {"runstate": "running"})
    put(screen.desk, "glow", ("some pages", np.array([0x45]), False))
    screen.draw()
    assert screen.desk.status["runstate"] == "running"
    assert screen.desk.glow.title == "some pages" and screen.desk.pin == 0x45000
    screen.desk.select(None)
    screen.draw()
    assert screen.desk.pin is None
    put(screen.desk, "follow", None, "no such place")
    screen.draw(2)
    assert [message.text for message in screen.desk.messages].count("no such place") == 1


def test_nothing_executes_where_there_is_no_machine(screen):
    screen.window.session.toggle_execution()
    assert screen.desk.messages[-1].is_problem
    assert screen.desk.scene.look.mode is Mode.CLASS


def test_a_machine_that_goes_is_told_of_and_shown_again_when_it_returns(screen):
    source = screen.desk.source
    returned = SyntheticSource()
    attempts = iter((MachineGoneError("synthetic is not there"), None))

    def validate():
        raise MachineGoneError("synthetic has ended")

    def reopen():
        if error := next(attempts):
            raise error
        return returned

    screen.desk.set_look(look := screen.desk.scene.look)
    source.validate, source.reopen = validate, reopen
    screen.draw_until(lambda: screen.desk.feed.error is not None)
    screen.draw_until(lambda: any("waiting for it to return" in message.text for message in screen.desk.messages))
    screen.draw_until(lambda: screen.desk.source is not source)
    assert screen.desk.source is returned
    assert screen.desk.scene.look == look
    screen.draw_until(lambda: screen.desk.is_idle)
    assert screen.desk.messages[-1].text == "synthetic is back"
