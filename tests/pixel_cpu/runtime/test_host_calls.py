"""What rounds and hosts tell each other."""

from pixel_cpu.runtime.host_calls import LaneState


def test_states_from_returned_on_are_ends():
    assert [state for state in LaneState if state > LaneState.SLEEPING] == [
        LaneState.RETURNED, LaneState.TRAPPED, LaneState.EXITED, LaneState.KILLED,
    ]  # fmt: skip
