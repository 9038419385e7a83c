"""Playbooks: what the scheduler decides after each event."""

import pytest
from scheduler_playbook import MS, play

from gpu_hypervisor.scheduler import (
    Cancelled,
    Finished,
    JobClass,
    Policy,
    Preempt,
    Scheduler,
    SliceDone,
    Submitted,
    TenantOpened,
)
from qemu_bridge.errors import UsageError

PLAYBOOKS = {
    "a job runs to its end": """
        open a 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0 1000          # nobody waits: a long slice
        >> 5 done gpu used=5 next=10
        << finish 1""",
    "the tenant that had least for its weight is next": """
        open a 60
        open b 30
        >> 0 submit 1 a units=100 class=throughput
        << accept 1 throughput
        << run gpu 1 0
        >> 0 submit 2 b units=100 class=throughput
        << accept 2 throughput
        << preempt gpu 1             # it is alone no more
        >> 6 done gpu used=6 next=10 # a: 6 / 60 = 0.1
        << run gpu 2 0
        >> 12 done gpu used=6 next=10 # b: 6 / 30 = 0.2
        << run gpu 1 10
        >> 24 done gpu used=12 next=20 # a: 0.3
        << run gpu 2 10
        >> 30 done gpu used=6 next=20 # b: 0.4
        << run gpu 1 20""",
    "a tenant that was away gets no credit for it": """
        open a 1
        open b 1
        >> 0 submit 1 a units=100 class=throughput
        << accept 1 throughput
        << run gpu 1 0
        >> 100 done gpu used=100 next=50
        << run gpu 1 50
        >> 100 submit 2 b units=100 class=throughput
        << accept 2 throughput
        << preempt gpu 1
        >> 110 done gpu used=10 next=60   # b starts where a was: 100 ms, a is at 110
        << run gpu 2 0
        >> 120 done gpu used=10 next=10
        << run gpu 1 60
        >> 130 done gpu used=10 next=70
        << run gpu 2 10""",
    "jobs of a tenant's class follow one another": """
        open a 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 1 submit 2 a units=10 class=batch
        << accept 2 batch
        >> 2 done gpu used=2 next=5
        << run gpu 1 5
        >> 4 done gpu used=2 next=10
        << finish 1
        << run gpu 2 0""",
    "an interactive job interrupts a batch job of a tenant that had more": """
        open a 1
        open b 1
        open c 1
        >> 0 submit 1 a units=100 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 0 submit 2 b units=100 class=batch
        << accept 2 batch
        << preempt gpu 1
        >> 5 done gpu used=5 next=10
        << run gpu 2 0 5
        >> 7 submit 3 c units=10 class=interactive
        << accept 3 interactive
        << preempt gpu 2
        >> 7.5 done gpu used=2.5 next=3
        << run gpu 3 0 2
        >> 8 done gpu used=0.5 next=10
        << finish 3
        << run gpu 2 3""",
    "an interactive job of a tenant that had most interrupts nobody": """
        open a 1
        open b 1
        >> 0 submit 1 a units=100 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 100 submit 2 b units=100 class=batch
        << accept 2 batch
        << preempt gpu 1
        >> 100 done gpu used=100 next=50
        << run gpu 2 0
        >> 101 submit 3 a units=1 class=interactive
        << accept 3 interactive""",
    "realtime jobs go first, the earliest deadline before the others": """
        open a 1
        open b 1
        >> 0 submit 1 a units=100 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 1 submit 2 b units=10 deadline=100 expected=5
        << accept 2 realtime
        << preempt gpu 1
        >> 2 done gpu used=2 next=3
        << run gpu 2 0 5
        >> 3 submit 3 a units=10 deadline=50 expected=2
        << accept 3 realtime
        << preempt gpu 2
        >> 4 done gpu used=2 next=4
        << run gpu 3 0
        >> 6 done gpu used=2 next=10
        << finish 3
        << run gpu 2 4
        >> 8 done gpu used=2 next=10
        << finish 2
        << run gpu 1 3""",
    "what cannot be promised is refused with what is left": """
        open a 1
        >> 0 submit 1 a units=10 deadline=101 expected=10
        << accept 1 realtime
        << run gpu 1 0
        >> 0 submit 2 a units=10 deadline=101 expected=11
        << refuse 2 left=10
        >> 0 submit 3 a units=10 deadline=101 expected=10
        << accept 3 realtime
        >> 0 submit 4 a units=10 deadline=501 expected=90
        << refuse 4 left=80
        >> 0 submit 5 a units=10 class=realtime expected=90
        << refuse 5 left=0
        >> 0 submit 6 a units=10 deadline=1000
        << refuse 6""",
    "a realtime job that takes more than it was promised goes on without a promise": """
        open a 1
        open b 1
        >> 0 submit 1 a units=10 deadline=100 expected=5
        << accept 1 realtime
        << run gpu 1 0 5
        >> 0 submit 2 b units=10 class=interactive
        << accept 2 interactive
        >> 5 done gpu used=5 next=5
        << run gpu 2 0
        >> 7 done gpu used=2 next=10
        << finish 2
        << run gpu 1 5
        >> 150 done gpu used=3 next=10
        << finish 1 late""",
    "jobs that wait are cancelled at once, jobs that run when their slice ends": """
        open a 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 0 submit 2 a units=10 class=batch
        << accept 2 batch
        >> 1 cancel 2
        << finish 2
        >> 1 cancel 1
        << preempt gpu 1
        >> 1 cancel 1
        >> 2 done gpu used=2 next=3
        << finish 1
        >> 3 cancel 1""",
    "a tenant that goes takes its jobs along": """
        open a 1
        open b 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 0 submit 2 a units=10 class=throughput
        << accept 2 throughput
        << preempt gpu 1
        >> 1 close a
        << finish 2
        >> 2 done gpu used=2 next=3
        << finish 1
        >> 2 submit 3 b units=1 class=batch
        << accept 3 batch
        << run gpu 3 0""",
    "the job of a device that goes does its slice again elsewhere": """
        open a 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 1 up cpu
        >> 2 done gpu used=2 next=4
        << run cpu 1 4
        >> 3 down cpu used=1
        << run gpu 1 4""",
    "devices that come take what waits": """
        open a 1
        open b 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 0 submit 2 b units=10 class=batch
        << accept 2 batch
        << preempt gpu 1
        >> 1 up cpu
        << run cpu 2 0
        >> 2 done gpu used=1 next=5
        << run gpu 1 5""",
    "a job that ends early ends": """
        open a 1
        >> 0 submit 1 a units=10 class=batch
        << accept 1 batch
        << run gpu 1 0
        >> 1 done gpu used=1 next=2 end
        << finish 1""",
    "classes are inferred from what is known": """
        open a 1
        >> 0 submit 1 a units=10 kernel=new
        << accept 1 interactive
        << run gpu 1 0
        >> 3000 done gpu used=3000 next=10   # 300 ms a unit
        << finish 1
        >> 3000 submit 2 a units=10 kernel=new
        << accept 2 batch
        << run gpu 2 0
        >> 3000 submit 3 a units=1 kernel=new
        << accept 3 throughput
        << preempt gpu 2
        >> 3000 submit 4 a units=1000 kernel=other expected=1
        << accept 4 interactive""",
}


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_playbook(name):
    play(Scheduler(["gpu"]), PLAYBOOKS[name])


def saturate(weights, classes, slices, policy=None):
    """Device time of each tenant after so many slices of its class's length, all of them always waiting."""
    scheduler = Scheduler(["gpu"], policy)
    used, now = dict.fromkeys(weights, 0), 0
    for name, weight in weights.items():
        scheduler.handle(TenantOpened(0, name, weight))
    for number, name in enumerate(weights):
        scheduler.handle(Submitted(0, number, name, name, 1 << 40, classes[name]))
    for _ in range(slices):
        running = scheduler.devices["gpu"]
        took = 2 * MS if running.is_preempted else scheduler.policy.slices_ns[running.job_class]
        now += took
        used[running.job.tenant] += took
        scheduler.handle(SliceDone(now, "gpu", took, running.job.next_unit + 1))
    total = sum(used.values())
    return {name: value / total for name, value in used.items()}


@pytest.mark.parametrize(
    "classes", [("batch", "throughput", "interactive"), ("throughput",) * 3, ("interactive", "batch", "batch")]
)
def test_weights_of_60_30_and_10_give_60_30_and_10_percent_whatever_the_classes(classes):
    found = saturate({"a": 60, "b": 30, "c": 10}, dict(zip("abc", map(JobClass, classes), strict=True)), 5000)
    assert found == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1}, rel=0.01)


def test_batch_jobs_have_their_cap_of_contended_time_only():
    classes = {"a": JobClass.BATCH, "b": JobClass.THROUGHPUT}
    assert saturate({"a": 90, "b": 10}, classes, 5000)["a"] == pytest.approx(0.6, rel=0.03)
    assert saturate({"a": 90, "b": 10}, classes, 5000, Policy(caps={}))["a"] == pytest.approx(0.9, rel=0.01)
    assert saturate({"a": 90, "b": 10}, {"a": JobClass.BATCH, "b": JobClass.BATCH}, 5000)["a"] == pytest.approx(
        0.9, rel=0.01
    )


def test_a_guarantee_holds_against_weights():
    policy = Policy(guarantees={JobClass.INTERACTIVE: 0.3}, caps={})
    classes = {"a": JobClass.THROUGHPUT, "b": JobClass.INTERACTIVE}
    assert saturate({"a": 99, "b": 1}, classes, 5000, policy)["b"] == pytest.approx(0.3, rel=0.05)


def test_each_decision_has_its_reason():
    scheduler = Scheduler(["gpu"])
    play(scheduler, PLAYBOOKS["realtime jobs go first, the earliest deadline before the others"])
    text = "\n".join(scheduler.why(2))
    assert "accepted as realtime, because it has a deadline" in text
    assert "runs: its deadline, in 99 ms, is the earliest" in text
    assert "interrupted: realtime job 3 of a goes first" in text
    assert "had least device time for its weight" in "\n".join(scheduler.why(1))
    assert "ended, 4 ms of device time" in text
    with pytest.raises(UsageError, match="no job 77"):
        scheduler.why(77)


def test_reasons_of_a_job_and_of_ended_jobs_are_bounded():
    scheduler = Scheduler(["gpu"], Policy(reasons=8, ended_jobs=10))
    scheduler.handle(TenantOpened(0, "a"))
    scheduler.handle(Submitted(0, 0, "a", "k", 1000))
    for unit in range(1, 500):
        scheduler.handle(SliceDone(unit * MS, "gpu", MS, unit))
    found = scheduler.why(0)
    assert len(found) == 9 and "accepted" in found[0] and "left out" not in found[0] and "newest" in found[1]
    for number in range(1, 100):
        scheduler.handle(Submitted(500 * MS, number, "a", "k", 1, JobClass.INTERACTIVE))
    for number in range(1, 100):
        scheduler.handle(SliceDone(500 * MS, "gpu", MS, 500 if number == 1 else 1))
    assert len(scheduler._reasons) <= 12


@pytest.mark.parametrize(
    ("playbook", "message"),
    [
        (">> 0 submit 1 a units=1", "no tenant 'a'"),
        ("open a 1\n>> 0 submit 1 a units=0", "1 unit or more"),
        ("open a 0", "above 0"),
        ("open a 1\nopen a 1", "choose another name"),
        (">> 0 done gpu used=1 next=1", "no slice runs"),
        (">> 0 done cpu used=1 next=1", "no device 'cpu'"),
        ("open a 1\n>> 0 submit 1 a\n<< accept 1 interactive\n<< run gpu 1 0\n>> 1 done gpu used=1 next=11", "to 11"),
        ("open a 1\n>> 0 submit 1 a\n<< accept 1 interactive\n<< run gpu 1 0\n>> 1 submit 1 a", "job 1 already"),
        (">> 0 close b", "no tenant 'b'"),
    ],
)
def test_events_that_contradict_are_refused(playbook, message):
    with pytest.raises(UsageError, match=message):
        play(Scheduler(["gpu"]), playbook)


def test_a_job_that_was_moved_goes_on_where_it_was_and_keeps_its_reasons():
    scheduler = Scheduler(["gpu"], Policy(ended_jobs=2))
    scheduler.handle(TenantOpened(0, "a"))
    scheduler.handle(Submitted(0, 1, "a", "k", 10))
    assert scheduler.handle(Cancelled(1, 1, "it moves")) == [Preempt("gpu", 1)]
    assert Finished(1, 5) in scheduler.handle(SliceDone(5, "gpu", 5, 4))
    with pytest.raises(UsageError, match="number jobs anew"):
        scheduler.handle(Submitted(6, 1, "a", "k", 10))
    accepted, dispatched = scheduler.handle(Submitted(6, 1, "a", "k", 10, first=4, is_moved=True))
    assert accepted.job == 1 and (dispatched.first, dispatched.units) == (4, 6)
    with pytest.raises(UsageError, match="number jobs anew"):
        scheduler.handle(Submitted(7, 1, "a", "k", 10, is_moved=True))
    scheduler.handle(SliceDone(8, "gpu", 1, 10))
    text = "\n".join(scheduler.why(1))
    assert "it moves" in text and text.count("accepted") == 2
    for number in (2, 3, 4):
        scheduler.handle(Submitted(9, number, "a", "k", 1))
        scheduler.handle(SliceDone(9, "gpu", 1, 1))
    assert sorted(scheduler.known) == [3, 4]


def test_a_promise_that_does_not_hold_on_another_device_makes_a_moved_job_interactive():
    scheduler = Scheduler(["gpu"])
    scheduler.handle(TenantOpened(0, "a"))
    late = Submitted(10, 1, "a", "k", 10, JobClass.REALTIME, 11, 1_000_000, first=2, is_moved=True)
    accepted, _ = scheduler.handle(late)
    assert accepted.job_class is JobClass.INTERACTIVE and "does not hold here" in accepted.reason
