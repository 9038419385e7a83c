"""The frames of lanes."""

import numpy as np
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.frontends.wasm.opcodes import ValueType
from pixel_cpu.runtime.lane_frames import LaneFrames

TEXT = '(module (func $deep (export "f") (param i64 f32) (result i64) (drop (call $deep (local.get 0) (local.get 1))) (local.get 0)))'


def test_values_of_a_frame_are_those_that_were_put():
    with px.Device("cpu", isolated=False) as device:
        program = px.wasm(assemble(TEXT))
        instances = program.instances(4, device=device)
        frames = LaneFrames(instances, program.resumable(0, device))
        lanes, first = np.array([1, 3]), np.array([10, 20])
        frames.put(lanes, first, 2, np.array([-5, 1 << 40]))
        frames.put(lanes, first, 3, np.array([0.5, -0.25], "f4"))
        found = frames.values(lanes, first, (ValueType.I64, ValueType.F32))
        assert found[0].tolist() == [-5, 1 << 40] and found[1].tolist() == [0.5, -0.25]
        assert frames.backtrace(0) == ("deep",) and frames.posts is None
