"""What can be promised, against a search of all deadlines."""

import random

from gpu_hypervisor.scheduler import JobClass, Policy
from gpu_hypervisor.scheduler.jobs import Job
from gpu_hypervisor.scheduler.realtime import Realtime

MS = 1_000_000
POLICY = Policy(switch_ns=MS)


def job(number, deadline, expected):
    return Job(number, "a", "k", 1, JobClass.REALTIME, False, 0, deadline, expected)


def fits(jobs, rate, now):
    """Whether up to each deadline all that is promised fits."""
    return all(
        sum(other.remaining_ns for other in jobs if other.deadline <= each.deadline)
        <= rate * (each.deadline - now - MS) + 1e-3
        for each in jobs
    )


def test_what_is_left_fits_and_one_nanosecond_more_does_not():
    chance = random.Random(3)
    tried = 0
    for _ in range(300):
        realtime, jobs, devices = Realtime(POLICY), [], chance.choice([1, 4])
        rate = POLICY.promised * devices
        for number in range(chance.randint(0, 8)):
            deadline = chance.randint(2, 200) * MS
            left = realtime.left_ns(0, deadline, devices)
            promised = chance.randint(0, left) if left else 0
            if promised:
                jobs.append(job(number, deadline, promised))
                realtime.add(jobs[-1])
        deadline = chance.randint(2, 200) * MS
        left = realtime.left_ns(0, deadline, devices)
        assert fits([*jobs, job(99, deadline, left)], rate, 0)
        if left < deadline - MS:
            tried += 1
            assert not fits([*jobs, job(99, deadline, left + 2)], rate, 0)
    assert tried > 100


def test_the_earliest_deadline_that_waits_is_first_and_late_ones_are_found_once():
    realtime = Realtime(POLICY)
    jobs = [job(number, deadline * MS, MS) for number, deadline in enumerate((30, 10, 20, 10))]
    for each in jobs:
        realtime.add(each)
    assert realtime.first_waiting() is jobs[1]
    jobs[1].device = "gpu"
    assert realtime.first_waiting() is jobs[3]
    assert realtime.late(10 * MS) == [] and realtime.late(15 * MS) == [jobs[1], jobs[3]]
    jobs[1].is_late = True
    assert realtime.late(15 * MS) == [jobs[3]]
    realtime.remove(jobs[3])
    realtime.remove(jobs[1])
    assert len(realtime) == 2 and realtime.first_waiting() is jobs[2]
