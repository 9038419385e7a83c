"""The viewers of a machine: who is open, who is meant."""

from __future__ import annotations

import pytest

from qemu_bridge.daemon.viewers import Viewers
from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.wire.event_records import viewer_topic


@pytest.fixture
def viewers():
    return Viewers("demo")


def opened(viewers):
    session = viewers.join(80)
    assert viewers.note(viewer_topic(session), is_subscribed=True)
    return session


def test_a_viewer_is_open_from_its_subscription_on_until_that_ends(viewers):
    session = viewers.join(80)
    assert viewers.all() == ()
    viewers.note(viewer_topic(session), is_subscribed=True)
    assert [(row.session, row.pid) for row in viewers.all()] == [(session, 80)]
    viewers.note(viewer_topic(session), is_subscribed=False)
    assert viewers.all() == ()


def test_all_are_meant_unless_one_is_named(viewers):
    first, second = opened(viewers), opened(viewers)
    assert viewers.choose(None) == (first, second) and viewers.choose(second) == (second,)


def test_where_none_is_open_it_is_said_how_to_open_one(viewers):
    with pytest.raises(MachineError, match="glassbox view demo"):
        viewers.choose(None)
    opened(viewers)
    with pytest.raises(UsageError, match="no viewer session 7; open are 1"):
        viewers.choose(7)


def test_what_a_viewer_reports_is_kept_and_a_stranger_reports_nothing(viewers):
    session = opened(viewers)
    viewers.report(session, "yaw=3", "", 4)
    assert (viewers.all()[0].view, viewers.all()[0].done) == ("yaw=3", 4)
    with pytest.raises(UsageError):
        viewers.report(9, "", "", 0)


def test_topics_that_are_no_viewers_are_none(viewers):
    assert not viewers.note(b"", is_subscribed=True) and not viewers.note(b"viewer.x", is_subscribed=True)
    assert viewers.note(viewer_topic(99), is_subscribed=True) and viewers.all() == ()


def test_viewers_that_never_subscribe_are_forgotten(viewers):
    first = viewers.join(80)
    for _ in range(100):
        last = viewers.join(80)
    for session in (first, last):
        viewers.note(viewer_topic(session), is_subscribed=True)
    assert [row.session for row in viewers.all()] == [last]
