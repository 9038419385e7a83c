"""What holds for any load: found by Hypothesis in simulated worlds around the real scheduler."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_hypervisor.scheduler import Dispatch, JobClass, Policy, Refused
from gpu_hypervisor.simulation import Load, SimulatedJob, World

MS = 1_000_000
TENANTS = ("a", "b", "c", "d")
FAIR = (JobClass.INTERACTIVE, JobClass.THROUGHPUT, JobClass.BATCH)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

weights = st.fixed_dictionaries({name: st.sampled_from([1.0, 2.0, 5.0, 60.0]) for name in TENANTS})
fair_jobs = st.builds(
    SimulatedJob,
    at=st.integers(0, 200 * MS),
    tenant=st.sampled_from(TENANTS),
    kernel=st.sampled_from(["k", "l"]),
    units=st.integers(1, 200),
    unit_ns=st.integers(1, MS),
    job_class=st.sampled_from([None, *FAIR]),
)
urgent_jobs = st.builds(
    lambda at, tenant, units, unit_ns, factor: SimulatedJob(
        at, tenant, "u", units, unit_ns, JobClass.REALTIME, factor * units * unit_ns, units * unit_ns
    ),
    at=st.integers(0, 200 * MS),
    tenant=st.sampled_from(TENANTS),
    units=st.integers(1, 50),
    unit_ns=st.integers(1, MS // 5),
    factor=st.integers(2, 40),
)


def make_world(weights, jobs, devices, watch=None, **policy):
    ordered = tuple(sorted(jobs, key=lambda job: job.at))
    return World(Load(weights, ordered, devices, 1 << 60, Policy(**policy)), watch)


@quick
@given(weights, st.lists(st.one_of(fair_jobs, urgent_jobs), max_size=40), st.integers(1, 3))
def test_no_device_is_idle_while_a_job_could_run_and_every_job_ends(weights, jobs, devices):
    def watch(world, decisions):
        scheduler = world.scheduler
        if any(running is None for running in scheduler.devices.values()):
            assert not scheduler.fair.waiting and scheduler.realtime.first_waiting() is None
        # What counts as ready is what lies at the head of a queue of which none runs.
        ready = [
            flow
            for flow in scheduler.fair.flows.values()
            for name in FAIR
            if flow.queues[name] and name not in flow.running
        ]
        assert bool(ready) == bool(scheduler.fair.waiting)

    world = make_world(weights, jobs, devices, watch)
    report = world.run()
    assert report.finished_jobs + report.refusals == len(jobs) and not world.scheduler.jobs
    for number, job in world.jobs.items():
        refused = any("refused" in line for line in world.scheduler.why(number))
        assert refused or f"{job.units * job.unit_ns / 1e6:.3g} ms of device time" in world.scheduler.why(number)[-1]


@quick
@given(weights, st.lists(fair_jobs, max_size=20), st.lists(urgent_jobs, max_size=20))
def test_a_job_that_was_promised_to_end_in_time_does(weights, fair, urgent):
    # A unit of the others takes 1 ms at most, which is what the policy says that an interruption takes.
    world = make_world(weights, [*fair, *urgent], 1)
    report = world.run()
    assert report.misses == 0 and report.deadlines == len(urgent) - report.refusals


@quick
@given(weights, st.lists(st.one_of(fair_jobs, urgent_jobs), max_size=30), st.integers(1, 3))
def test_the_same_events_give_the_same_schedule(weights, jobs, devices):
    def play():
        made = []
        make_world(weights, jobs, devices, lambda world, decisions: made.append((world.now, decisions))).run()
        return made

    assert play() == play()


@quick
@given(
    st.lists(st.sampled_from([1.0, 2.0, 5.0, 20.0]), min_size=2, max_size=6),
    st.lists(st.tuples(st.integers(1000, MS), st.sampled_from(FAIR)), min_size=6, max_size=6),
)
def test_shares_of_tenants_that_always_wait_differ_from_their_weights_by_a_slice_at_most(given_weights, costs):
    weights = {f"t{number}": weight for number, weight in enumerate(given_weights)}
    jobs = [
        SimulatedJob(0, name, name, 10**9, unit_ns, job_class)
        for name, (unit_ns, job_class) in zip(weights, costs, strict=False)
    ]
    policy = Policy(caps={})
    world = World(Load(weights, tuple(jobs), 1, 2000 * MS, policy, is_closed=True))
    world.run()
    scheduler = world.scheduler
    # Start-time fair queueing: what two tenants had, by weight, differs by no more than a slice of each; and one unit over.
    longest = max(policy.slices_ns.values()) + MS
    had = {name: sum(job.used_ns for job in scheduler.jobs.values() if job.tenant == name) for name in weights}
    for one in weights:
        for other in weights:
            apart = abs(had[one] / weights[one] - had[other] / weights[other])
            assert apart <= longest / weights[one] + longest / weights[other] + longest / min(weights.values())


@quick
@given(st.integers(1, 30), st.sampled_from(FAIR))
def test_nobody_starves_beside_a_flood(flood, job_class):
    # One tenant with the least weight, one job; another floods with jobs of the best class and 60 times the weight.
    jobs = [SimulatedJob(0, "a", "k", 50, MS, JobClass.INTERACTIVE) for _ in range(flood)]
    late = SimulatedJob(5 * MS, "b", "l", 1, MS, job_class)
    ended = []

    def watch(world, decisions):
        ended.extend((world.now, decision.job) for decision in decisions if type(decision).__name__ == "Finished")

    world = make_world({"a": 60.0, "b": 1.0}, [*jobs, late], 1, watch)
    number = flood + 1
    world.run()
    (moment,) = [now for now, job in ended if job == number]
    # It begins at the virtual time, so only what runs then and slices of the other until its tag is larger go before it.
    assert moment <= 5 * MS + 2 * 10 * MS


def test_a_promise_is_never_more_than_its_share_of_the_devices():
    jobs = [SimulatedJob(0, "a", "u", 10, MS, JobClass.REALTIME, 1001 * MS, 10 * MS) for _ in range(100)]
    refused = []
    world = make_world(
        {"a": 1.0}, jobs, 1, lambda world, decisions: refused.extend(d for d in decisions if isinstance(d, Refused))
    )
    report = world.run()
    assert report.refusals == len(refused) and report.misses == 0
    # 20 % of the second until the deadline, which is 20 jobs of 10 ms.
    assert report.jobs - report.refusals == 20
    assert refused[0].left_ns == 0


def test_dispatches_alternate_with_ends_on_each_device():
    busy = set()

    def watch(world, decisions):
        for decision in decisions:
            if isinstance(decision, Dispatch):
                running = world.scheduler.devices[decision.device]
                assert running is not None and running.job.number == decision.job
                busy.add(decision.device)

    jobs = [SimulatedJob(0, name, "k", 20, MS) for name in TENANTS]
    make_world(dict.fromkeys(TENANTS, 1.0), jobs, 3, watch).run()
    assert len(busy) == 3
