"""Viewers are told what to show, by clients of the daemon: here a viewer is whoever joins and takes events."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import zmq
from support import wait_until
from viewer_sessions import opened

from qemu_bridge.errors import MachineError, UsageError

pytestmark = pytest.mark.guest

JOIN = """
import os, sys
from qemu_bridge.client import Client
with Client.connect(sys.argv[1]) as client:
    session = client.viewer_join(os.getpid())
    for event in client.events(viewer=session):
        print(session, flush=True)
"""


def test_without_a_viewer_it_is_said_how_to_open_one(machine):
    with pytest.raises(MachineError, match=f"glassbox view {machine.name}"):
        machine.client.highlight("pid:1")


def test_a_target_goes_to_all_viewers_or_to_the_one_that_is_meant(machine):
    with opened(machine) as (first, seen), opened(machine) as (second, also_seen):
        told = machine.client.highlight("pid:1/heap")
        assert told.value.sessions == (first, second)
        assert told.value.total_bytes == machine.client.resolve("pid:1/heap").value.total_bytes
        only = machine.client.highlight("pid:1", session=second, fly=False).value
        assert only.sessions == (second,) and only.number > told.value.number
        wait_until(lambda: len(seen) == len(also_seen) == 2)
        assert [(event.target, event.fly, event.sessions) for event in seen] == [
            ("pid:1/heap", True, (first, second)),
            ("pid:1", False, (second,)),
        ]


def test_a_place_is_a_byte_and_everything_else_a_target_or_a_view(machine):
    with opened(machine) as (_, seen):
        machine.client.fly_to("init_task")
        machine.client.fly_to("pid:1 & class:process-heap")
        machine.client.fly_to("free")
        machine.client.fly_to(view="yaw=35")
        machine.client.highlight("")
        wait_until(lambda: len(seen) == 5)
        place = machine.client.identify("init_task").value.ram_offset
        assert [(event.place, event.target, event.view) for event in seen] == [
            (place, None, ""),
            (None, "pid:1 & class:process-heap", ""),
            (None, "free", ""),
            (None, None, "yaw=35"),
            (None, "", ""),
        ]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("no_such_symbol", "no symbol"), ("pid:99999", "no such process"), ("pid:1/heep", "did you mean heap")],
)
def test_what_is_nowhere_is_refused_and_no_viewer_moves(place, sentence, machine):
    with opened(machine) as (_, seen):
        with pytest.raises(UsageError, match=sentence):
            machine.client.fly_to(place)
        for view in ("bogus=3", "yaw=far", "mode=loud", "glow=pid:1/heep"):
            with pytest.raises(UsageError, match=r"; write|; use|did you mean heap"):
                machine.client.fly_to(view=view)
        for both in ({}, {"place": "init_task", "view": "yaw=1"}):
            with pytest.raises(UsageError, match="one of them"):
                machine.client.fly_to(**both)
        machine.client.highlight("")
        wait_until(lambda: len(seen) == 1)


def test_a_viewer_that_is_killed_is_open_no_longer(machine):
    words = [sys.executable, "-c", JOIN, machine.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as viewer:
        session = int(viewer.stdout.readline())
        assert [(row.session, row.pid) for row in machine.client.viewers()] == [(session, viewer.pid)]
        viewer.kill()
        wait_until(lambda: machine.client.viewers() == ())


def test_of_what_is_published_once_the_last_subscription_was_answered_nothing_is_missed(machine):
    for _ in range(10):
        session = machine.client.viewer_join(80)
        with zmq.Context() as context, context.socket(zmq.SUB) as events:
            events.connect(machine.client.connection.events)
            for topic in (f"viewer.{session}", "viewer", "runstate"):
                events.subscribe(topic)
            while events.recv_multipart()[0] != b"runstate":
                pass
            told = machine.client.fly_to(view="yaw=1", session=session).value
            assert events.poll(30_000)
            assert json.loads(events.recv_multipart()[1])["number"] == told.number
    wait_until(lambda: not machine.client.viewers())
