"""A job from outside."""

import threading

import pytest

from gpu_hypervisor import Job, JobState, Submission
from pixel_cpu.backends.launch import Outcome, PrintedLine, Trap
from pixel_cpu.errors import LimitError


def job():
    return Job(1, "a", Submission("text", lanes=1))


def test_the_end_is_told_to_all_who_wait():
    found, told = job(), []
    found.add_done_callback(told.append)
    thread = threading.Thread(target=lambda: told.append(found.wait(60)))
    thread.start()
    with pytest.raises(TimeoutError, match=r"job 1 has not ended within 0\.01 s"):
        found.wait(0.01)
    found.end(JobState.FAILED, LimitError("too long"))
    thread.join()
    found.add_done_callback(told.append)
    assert sorted(map(str, told)) == sorted(map(str, [found, JobState.FAILED, found]))
    with pytest.raises(LimitError, match="too long"):
        found.result()


def test_slices_are_joined():
    found = job()
    found.add(Outcome("cpu", None, 0, None, (PrintedLine(0, "a"),), next_lane=64))
    assert found.next_lane == 64
    found.add(Outcome("cpu", Trap(70, "why", None), 2, None, (PrintedLine(64, "b"),)))
    assert found.next_lane is None and found.traps == 2 and [line.text for line in found.printed] == ["a", "b"]


def test_states_that_are_ends():
    assert [state for state in JobState if state.has_ended] == [JobState.DONE, JobState.FAILED, JobState.CANCELLED]
