"""Lanes that run at once, and the host that is watched."""

from __future__ import annotations

import contextlib

import numpy as np

from pixel_cpu.runtime.rounds import Reply, Request
from pixel_cpu.supervisor.wave import Watched


class Silent:
    """A host that answers nothing, and says when."""

    def __init__(self, log):
        self.log = log

    def serve(self, request):
        self.log.append(request.name)
        return Reply()


def test_a_watched_host_knows_what_each_lane_called_last_and_serves_a_round_as_a_whole():
    log = []

    @contextlib.contextmanager
    def whole():
        log.append("begin")
        yield
        log.append("end")

    watched = Watched(Silent(log), 3, whole)
    for name, lanes in (("w.a", [0, 2]), ("w.b", [1, 2])):
        watched.serve(Request(name, np.array(lanes), (), np.zeros((3, 0), np.uint8), np.zeros(len(lanes), np.int64)))
    assert log == ["begin", "w.a", "end", "begin", "w.b", "end"]
    assert [watched.names[last] for last in watched.last] == ["w.a", "w.b", "w.b"]
