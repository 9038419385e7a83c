"""Builders: processes that texts cannot harm more than themselves."""

import os
import select
import signal
import time

import pytest
from hypervisor_kernels import SAXPY, WORK
from support import is_running

from gpu_hypervisor.admission import Builders, BuildRequest, Built, Failure


class Loop:
    """Builders and the loop that serves them."""

    def __init__(self, **options):
        self.poll = select.epoll()
        self.builders = Builders(lambda descriptor: self.poll.register(descriptor, select.EPOLLIN), **options)
        self.replies = {}

    def build(self, who, text, name):
        self.builders.build(
            who, BuildRequest("reference", "ir", text, None, None), lambda reply: self.replies.update({name: reply})
        )

    def run(self, until, timeout_s=120):
        end = time.monotonic() + timeout_s
        while not until():
            assert time.monotonic() < end, "waited in vain"
            for descriptor, _ in self.poll.poll(0.05):
                if self.builders.owns(descriptor):
                    self.builders.ready(descriptor)
            self.builders.expire()

    @property
    def pids(self):
        return [builder._process.pid for builder in self.builders._builders.values()]


@pytest.fixture
def loop():
    found = Loop()
    yield found
    found.builders.close()
    found.poll.close()


def test_texts_are_built_once_and_errors_are_told(loop):
    loop.build("a", WORK, 1)
    loop.build("a", "kernel x(", 2)
    loop.build("b", WORK, 3)
    loop.run(lambda: len(loop.replies) == 3)
    assert isinstance(loop.replies[1], Built) and loop.replies[3] == loop.replies[1]
    assert isinstance(loop.replies[2], Failure) and loop.replies[2].error.column == 10
    loop.build("c", WORK, 4)
    assert loop.replies[4] == loop.replies[1]  # at once: it is kept
    pids = loop.pids
    loop.builders.close()
    assert pids and not any(map(is_running, pids))


def test_who_sends_many_texts_delays_itself_alone(loop):
    for name in ("first", "second"):  # a builder takes longer to start than to build these
        loop.build(name, WORK.replace("work", name), name)
    loop.run(lambda: len(loop.replies) == 2)
    for number in range(20):
        loop.build("flood", WORK.replace("work", f"work{number}"), number)
    loop.build("other", WORK, "other")
    loop.run(lambda: "other" in loop.replies)
    assert list(loop.replies).index("other") < 12, "replies are in order"
    loop.builders.drop("flood")
    loop.build("third", WORK.replace("work", "third"), "third")
    loop.run(lambda: "third" in loop.replies)
    assert len(loop.replies) < 12


def test_a_builder_that_dies_or_takes_too_long_fails_its_text_only(loop):
    loop.build("a", WORK, 1)
    os.kill(loop.pids[0], signal.SIGKILL)
    loop.run(lambda: 1 in loop.replies)
    assert "died of this text" in loop.replies[1].message
    slow = Loop(seconds=0.01)
    slow.build("a", WORK, 1)
    slow.run(lambda: 1 in slow.replies)
    assert "not built within 0.01 s" in slow.replies[1].message and not slow.pids
    slow.builders.close()
    slow.poll.close()
    loop.build("a", WORK, 2)
    loop.run(lambda: 2 in loop.replies)
    assert isinstance(loop.replies[2], Built)


def test_a_long_text_does_not_stop_who_sends_it(loop):
    began = time.monotonic()
    loop.build("a", SAXPY + " " * (4 << 20), 1)
    sent = time.monotonic() - began
    loop.run(lambda: 1 in loop.replies)
    assert sent < time.monotonic() - began and isinstance(loop.replies[1], Failure)
