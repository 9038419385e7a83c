"""Lanes that run at once, and the host that is watched."""

from __future__ import annotations

import contextlib

import numpy as np
from wasm_texts import assemble

import pixel_cpu as px
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


def test_lanes_of_a_later_wave_find_memory_as_new():
    """A program that prints what its memory holds, and writes there."""
    data = assemble(
        """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 2 4) (data (i32.const 8) "abc") (global $g (mut i32) (i32.const 65))
          (func (export "_start")
            (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 9))
            (i32.store8 (i32.const 14) (i32.add (i32.const 48) (memory.size)))
            (i32.store8 (i32.const 15) (global.get $g)) (i32.store8 (i32.const 16) (i32.const 10))
            (i32.store8 (i32.const 13) (i32.add (i32.const 48) (i32.load8_u (i32.const 70000))))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
            (i32.store8 (i32.const 9) (i32.const 120)) (i32.store8 (i32.const 70000) (i32.const 7))
            (drop (memory.grow (i32.const 1))) (global.set $g (i32.const 66))))"""
    )
    found = px.processes(data, 5, memory=2 * (4 << 16) + (100 << 10), pages=4)
    assert found.wave_lanes == 2
    found.run()
    assert found.waves == 3 and {found.output(lane)[0] for lane in range(5)} == {b"abc\x00\x000" + b"2A\n"}
