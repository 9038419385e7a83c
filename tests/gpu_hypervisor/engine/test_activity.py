"""What happened lately: slices, events and rows of jobs."""

import threading

import numpy as np
import pytest
from hypervisor_kernels import saxpy

from gpu_hypervisor.engine import Activity, EventKind, JobState, Origin, SliceRow, Submitter, activity
from gpu_hypervisor.scheduler import JobClass


def row(job, ended_ns):
    return SliceRow(job, "a", "k", JobClass.BATCH, "device", ended_ns - 1, ended_ns, 1)


def test_slices_are_those_that_ended_after_a_moment(monkeypatch):
    found = Activity()
    for number in range(5):
        found.add_slice(row(number, 10 * number))
    assert [each.job for each in found.slices(20)] == [3, 4]
    assert len(found.slices(-1)) == 5


def test_events_are_numbered_kept_up_to_a_bound_and_waited_for(monkeypatch):
    monkeypatch.setattr(activity, "MOST_EVENTS", 3)
    found = Activity()
    for number in range(5):
        found.add_event(EventKind.DONE, "a", job=number)
    assert [each.number for each in found.events()] == [3, 4, 5]
    assert [each.number for each in found.events(4)] == [5]
    assert found.events(5) == found.events(99) == found.events(-1) == ()
    later = threading.Timer(0.05, lambda: found.add_event(EventKind.REFUSED, "b", "x" * 1000))
    later.start()
    (event,) = found.events(-1, 60.0)
    later.join()
    assert (event.number, event.kind, event.tenant, len(event.text)) == (6, EventKind.REFUSED, "b", 300)


def test_a_job_and_its_slices_and_its_end_are_told(hypervisor):
    x, y = np.arange(10, dtype="f4"), np.ones(10, "f4")
    origin = Origin(7, (Submitter(5, "sh"),))
    before = hypervisor.activity.events()[-1:]
    with hypervisor.open_tenant("told", weight=3) as tenant:
        number = tenant.submit(saxpy(x, y, label="me", origin=origin)).result(120).number
        with pytest.raises(Exception, match="one lane or more"):
            tenant.submit(saxpy(x[:0], y))
        origin.is_open = False
    (job,) = (each for each in hypervisor.jobs() if each.number == number)
    assert (job.tenant, job.state, job.label, job.kernel) == ("told", JobState.DONE, "me", "saxpy")
    assert 0 < job.submitted_ns < job.ready_ns <= job.began_ns < job.ended_ns
    assert (job.session, job.is_open, job.processes) == (7, False, (Submitter(5, "sh"),))
    slices = [each for each in hypervisor.activity.slices(job.submitted_ns) if each.job == number]
    assert len(slices) == job.slices and sum(each.used_ns for each in slices) == round(job.device_seconds * 1e9)
    assert job.began_ns <= slices[0].began_ns < slices[-1].ended_ns <= job.ended_ns
    kinds = [each.kind for each in hypervisor.activity.events(before[0].number if before else 0)]
    assert kinds == [EventKind.TENANT_OPENED, EventKind.DONE, EventKind.REFUSED, EventKind.TENANT_CLOSED]
