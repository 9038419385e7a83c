"""Start-time fair queueing, against the same by sorting."""

import random

import pytest

from gpu_hypervisor.scheduler import JobClass
from gpu_hypervisor.scheduler.classes import FAIR
from gpu_hypervisor.scheduler.fair import FairQueue
from gpu_hypervisor.scheduler.jobs import Job

numbers = iter(range(10**9))


def job(job_class, tenant="a"):
    return Job(next(numbers), tenant, "k", 1, job_class, False, 0, None, None)


def test_the_heaps_agree_with_a_search_of_all_tenants_whatever_happens():
    chance, queue = random.Random(1), FairQueue()
    flows = [queue.open(str(number), chance.choice([1.0, 3.0, 9.0])) for number in range(20)]
    running = []
    for _ in range(5000):
        flow = chance.choice(flows)
        action = chance.random()
        if action < 0.4:
            if flow.is_idle:
                queue.wake(flow)
            queue.add(flow, job(chance.choice(FAIR)))
        elif action < 0.5:
            waiting = [each for name in FAIR for each in flow.queues[name]]
            if waiting:
                queue.remove(flow, chance.choice(waiting))
        elif action < 0.7 and running:
            other, ran = running.pop(chance.randrange(len(running)))
            queue.charge(other, chance.uniform(-5, 20))
            goes_on = chance.random() < 0.5
            if goes_on and chance.random() < 0.3:
                ran.job_class = JobClass.BATCH  # it was measured
            queue.put_back(other, ran, goes_on=goes_on)
        else:
            ready = {name: [flow for flow in flows if flow.queues[name] and name not in flow.running] for name in FAIR}
            assert queue.waiting == tuple(name for name in FAIR if ready[name])
            found = queue.peek(queue.waiting)
            everyone = [flow for name in FAIR for flow in ready[name]]
            if not everyone:
                assert found is None
                continue
            assert found is not None
            chosen, name = found
            assert chosen.tag == min(flow.tag for flow in everyone)
            before = queue.virtual
            running.append((chosen, queue.take(chosen, name, 10.0)))
            assert queue.virtual >= before
    assert all(len(heap) <= 64 + 4 * 20 + 1 for heap in queue._heaps.values())


def test_classes_that_are_left_out_are_not_looked_at():
    queue = FairQueue()
    one, other = queue.open("a", 1.0), queue.open("b", 1.0)
    queue.add(one, job(JobClass.BATCH))
    queue.add(other, job(JobClass.INTERACTIVE))
    queue.charge(other, 100)
    assert queue.peek(FAIR) == (one, JobClass.BATCH)
    assert queue.peek((JobClass.INTERACTIVE,)) == (other, JobClass.INTERACTIVE)
    assert queue.peek((JobClass.THROUGHPUT,)) is None


def test_of_one_tenants_jobs_the_interactive_one_goes_first():
    queue = FairQueue()
    flow = queue.open("a", 1.0)
    for name in reversed(FAIR):
        queue.add(flow, job(name))
    taken = []
    while found := queue.peek(queue.waiting):
        taken.append(queue.take(*found, 0.0).job_class)
    assert taken == list(FAIR)


def test_an_expectation_is_put_right():
    queue = FairQueue()
    flow = queue.open("a", 4.0)
    queue.add(flow, job(JobClass.BATCH))
    ran = queue.take(flow, JobClass.BATCH, 400.0)
    assert flow.tag == 100
    queue.charge(flow, 100 - 400)
    queue.put_back(flow, ran, goes_on=False)
    assert flow.tag == pytest.approx(25) and flow.is_idle
