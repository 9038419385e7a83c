"""The statuses of the table are those of rounds, in words."""

from __future__ import annotations

from pixel_cpu.runtime.rounds import LaneState
from pixel_cpu.supervisor.table import FROM_STATE, NAMES, TABLE, Status


def test_every_state_of_a_lane_has_a_status_that_fits_the_table():
    assert len(FROM_STATE) == len(LaneState)
    for state in LaneState:
        status = Status(FROM_STATE[state])
        assert status.has_ended == (state > LaneState.SLEEPING)
        assert len(NAMES[status]) <= TABLE["status"].itemsize // 4
