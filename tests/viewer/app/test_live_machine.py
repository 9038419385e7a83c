"""One machine of a live picture, on made-up memory: what changed comes into its scene, and it ends and returns."""

from collections import deque

import pytest
from support import wait_until
from synthetic import Mortal

from viewer.app.live_machine import LiveMachine
from viewer.view.look import Look, Mode


@pytest.fixture
def started(device):
    """A machine that is watched, and what it wants the thread that draws to do."""
    actions = deque()
    machine = LiveMachine(Mortal("one"), device, actions.append)
    machine.start(lambda machine, event: None)
    yield machine, actions
    machine.stop()


def test_what_changes_comes_into_the_scene_and_calls_for_a_look(started):
    machine, actions = started
    wait_until(lambda: machine._watcher.is_following)
    while machine.follow_memory(0.0):
        pass
    actions.clear()
    machine.source.ram.memory[100] ^= 1
    wait_until(lambda: actions)
    wait_until(lambda: machine.follow_memory(1.0))
    wait_until(lambda: not machine.follow_memory(1e6))  # once nothing glows any more


def test_it_ends_and_another_of_its_name_takes_its_place(started):
    machine, actions = started
    machine.scene.set_look(Look(mode=Mode.OWNER))
    taken = []
    machine.source.is_gone = True
    wait_until(lambda: machine.error is not None)
    for _ in range(2):
        machine.wait_for_return(lambda machine, source: taken.append(source))
    assert machine.scene.is_ended
    machine.source.next = again = Mortal("one")

    def take_it():
        while actions:
            actions.popleft()()
        return taken

    wait_until(take_it)
    assert taken == [again]
    machine.renew(again)
    assert machine.error is None and not machine.scene.is_ended
    assert machine.scene.look.mode is Mode.OWNER and machine.source is again
