"""The state machine: events in, decisions out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from qemu_bridge.errors import UsageError

from .classes import JobClass, by_time, infer
from .events import (
    Accepted,
    Cancelled,
    Decision,
    DeviceDown,
    DeviceUp,
    Dispatch,
    Event,
    Finished,
    Preempt,
    Refused,
    SliceDone,
    Started,
    Submitted,
    TenantClosed,
    TenantOpened,
    Tick,
    Weighted,
)
from .fair import FairQueue, Flow
from .history import History
from .jobs import Job, Reasons
from .policy import Policy
from .realtime import Realtime
from .running import Running
from .shares import Shares


class Scheduler:
    """Decides for `devices` of one kind, by name. `handle` takes events in order of their moments.

    `can_stop` says whether devices end a slice between any two units when they are told `Preempt`; else they do what was dispatched.

    A device does one slice at a time. After `Dispatch` exactly one `SliceDone` or `DeviceDown` of the device is expected; until then
    nothing else is dispatched to it. Raises `UsageError` for events that contradict this, or name what is not there.
    """

    def __init__(self, devices: Iterable[str] = (), policy: Policy | None = None, *, can_stop: bool = True) -> None:
        self.policy = (policy or Policy()).checked()
        self.history = History()
        self.shares = Shares(self.policy)
        self.fair = FairQueue()
        self._can_stop = can_stop
        self.realtime = Realtime(self.policy)
        self.jobs: dict[int, Job] = {}
        self.devices: dict[str, Running | None] = dict.fromkeys(devices)
        self._idle = dict.fromkeys(self.devices)
        self._reasons: OrderedDict[int, Reasons] = OrderedDict()
        self._ended = 0

    def handle(self, event: Event) -> list[Decision]:
        """What follows from an event."""
        made: list[Decision] = []
        match event:
            case SliceDone():
                self._slice_done(event, made)
            case Submitted():
                self._submitted(event, made)
            case Started():
                if running := self._running(event.device):
                    running.began = event.now
            case Tick():
                pass
            case Cancelled():
                self._cancelled(event, made)
            case TenantOpened():
                if event.name in self.fair.flows:
                    raise UsageError(f"there is a tenant {event.name!r}; choose another name")
                self.fair.open(event.name, _weight(event.weight))
            case TenantClosed():
                self._tenant_closed(event, made)
            case Weighted():
                self._flow(event.name).weight = _weight(event.weight)
            case DeviceUp():
                if event.device not in self.devices:
                    self.devices[event.device] = self._idle[event.device] = None
            case DeviceDown():
                self._device_down(event, made)
        self._note_late(event.now)
        self._fill(event.now, made)
        return made

    def why(self, job: int) -> tuple[str, ...]:
        """Why what was decided about a job, a line for each decision, oldest first. `UsageError` for one that is not known (any more)."""
        if job not in self._reasons:
            raise UsageError(f"no job {job} is known; those of the last {self.policy.ended_jobs} ended jobs are")
        return self._reasons[job].texts()

    @property
    def known(self) -> Collection[int]:
        """Jobs that `why` knows."""
        return self._reasons.keys()

    def restart(self, job: int, now: int, why: str) -> None:
        """A job begins again with its first unit, as what its slices did is undone; `why` is a sentence."""
        if found := self.jobs.get(job):
            found.next_unit = 0
            self._tell(found, now, "{}", why)

    # Jobs come

    def _submitted(self, event: Submitted, made: list[Decision]) -> None:
        flow = self._flow(event.tenant)
        if event.job in self.jobs or (event.job in self._reasons and not event.is_moved):
            raise UsageError(f"there was a job {event.job} already; number jobs anew")
        if event.units < 1 or not 0 <= event.first < event.units:
            raise UsageError(f"a job has 1 unit or more to do, not {event.units - event.first}")
        if event.job in self._reasons:  # it ended here when it was moved
            self._ended -= 1
        reasons = self._reasons.setdefault(event.job, Reasons(self.policy.reasons))
        measured = self.history.expect(event.kernel, event.units - event.first)
        expected = event.expected_ns if event.expected_ns is not None else measured
        job_class, why = event.job_class, "its submitter says so"
        if job_class is None:
            job_class, why = infer(has_deadline=event.deadline is not None, expected_ns=expected, units=event.units)
        job = Job(
            event.job,
            event.tenant,
            event.kernel,
            event.units,
            job_class,
            event.job_class is None,
            event.now,
            event.deadline,
            expected,
            event.first,
        )
        if job_class is JobClass.REALTIME and (refusal := self._refusal(job, event.now)):
            if not event.is_moved:
                made.append(refusal)
                reasons.add(event.now, "refused: {}", refusal.reason)
                self._forget_reasons()
                return
            # What was promised elsewhere cannot be here, and it is not ended for that.
            job_class = job.job_class = JobClass.INTERACTIVE
            why = f"its promise does not hold here: {refusal.reason}"
        self.jobs[job.number] = job
        made.append(Accepted(job.number, job_class, f"{job_class}, because {why}"))
        reasons.add(event.now, "accepted as {}, because {}", job_class, why)
        if job_class is JobClass.REALTIME:
            self.realtime.add(job)
        else:
            if flow.is_idle:
                self.fair.wake(flow)
            self.fair.add(flow, job)
        self._interrupt_for(job, flow, event.now, made)

    def _refusal(self, job: Job, now: int) -> Refused | None:
        """Why a REALTIME job is not admitted."""
        if job.deadline is None:
            return Refused(job.number, "a REALTIME job needs a deadline; state one, or another class", 0)
        left = self.realtime.left_ns(now, job.deadline, len(self.devices))
        if job.expected_ns is None:
            text = "its kernel was never measured, so nothing can be promised; state the device time that it takes"
        elif len(self.realtime) >= self.policy.realtime_jobs:
            text = f"{len(self.realtime)} REALTIME jobs were promised already, which is the most; wait for one"
        elif job.expected_ns > left:
            text = (
                f"it takes {job.expected_ns / 1e6:.3g} ms, and {left / 1e6:.3g} ms of the {self.policy.promised:.0%} that REALTIME "
                "jobs are promised are left until its deadline; state a later one, or another class"
            )
        else:
            return None
        return Refused(job.number, text, left)

    def _interrupt_for(self, job: Job, flow: Flow, now: int, made: list[Decision]) -> None:
        """Interrupt the slice that has least claim to its device, where the new job has more, and no device is free."""
        if self._idle or not self._can_stop:
            return
        if job.job_class is not JobClass.REALTIME and flow.queues[job.job_class][0] is not job:
            return  # it waits for the one before it
        victim = None
        for running in self.devices.values():
            if running and not running.is_preempted and running.yields_to(job, flow, now):
                if victim is None or running.claim(now) > victim.claim(now):
                    victim = running
        if victim:
            victim.is_preempted = True
            made.append(Preempt(victim.device, victim.job.number))
            self._tell(
                victim.job, now, "interrupted: {} job {} of {} goes first", job.job_class, job.number, job.tenant
            )

    # Slices end

    def _slice_done(self, event: SliceDone, made: list[Decision]) -> None:
        running = self._running(event.device)
        if running is None:
            raise UsageError(f"no slice runs on device {event.device!r}")
        job = running.job
        if not job.next_unit <= event.next_unit <= job.units or event.used_ns < 0:
            raise UsageError(f"a slice of job {job.number} went from unit {job.next_unit} to {event.next_unit}")
        self.history.add(job.kernel, event.next_unit - job.next_unit, event.used_ns)
        job.next_unit = event.next_unit
        self._leave(running, event.used_ns, event.now, made, has_ended=event.has_ended or job.next_unit == job.units)

    def _device_down(self, event: DeviceDown, made: list[Decision]) -> None:
        running = self._running(event.device)
        if running:
            self._tell(
                running.job, event.now, "its slice on {} was lost with the device, and is done again", event.device
            )
            self._leave(running, event.used_ns, event.now, made, has_ended=False)
        del self.devices[event.device]
        self._idle.pop(event.device, None)

    def _leave(self, running: Running, used_ns: int, now: int, made: list[Decision], *, has_ended: bool) -> None:
        """A slice is over: charge what it used, and put its job back or end it."""
        job, flow = running.job, running.flow
        job.used_ns += used_ns
        job.device = None
        self.devices[running.device] = None
        self._idle[running.device] = None
        has_ended = has_ended or job.is_cancelled
        if running.was_contended:
            self.shares.add(running.job_class, used_ns)
        if running.job_class is JobClass.REALTIME:
            # Used time counts as soon as it is known, for the tenant's other jobs; the promise needs no tag.
            self.fair.charge(flow, used_ns)
            if has_ended:
                self.realtime.remove(job)
            elif job.remaining_ns <= 0:
                self.realtime.remove(job)
                job.job_class = JobClass.INTERACTIVE
                self._tell(
                    job,
                    now,
                    "it used the {:.3g} ms that it was promised, and goes on as interactive",
                    (job.expected_ns or 0) / 1e6,
                )
                if flow.is_idle:
                    self.fair.wake(flow)
                self.fair.add(flow, job, is_first=True)
        else:
            self.fair.charge(flow, used_ns - running.charged_ns)
            if not has_ended:
                self._infer_again(job, now)
            self.fair.put_back(flow, job, goes_on=not has_ended)
        if has_ended:
            self._end(job, now, made)

    def _infer_again(self, job: Job, now: int) -> None:
        """An inferred class gives way to what was measured."""
        if not job.is_inferred or job.job_class is JobClass.BATCH:
            return
        measured = by_time(job.used_ns)
        order = list(JobClass)
        if order.index(measured) > order.index(job.job_class):
            job.job_class = measured
            self._tell(job, now, "from now on {}: it used {:.3g} ms", measured, job.used_ns / 1e6)

    def _end(self, job: Job, now: int, made: list[Decision]) -> None:
        del self.jobs[job.number]
        is_late = job.deadline is not None and now > job.deadline
        made.append(Finished(job.number, job.used_ns, is_late))
        self._tell(
            job, now, "ended{}, {:.3g} ms of device time", " after its deadline" if is_late else "", job.used_ns / 1e6
        )
        self._forget_reasons()

    def _cancelled(self, event: Cancelled, made: list[Decision]) -> None:
        job = self.jobs.get(event.job)
        if job is None:
            return  # it ended meanwhile
        self._drop(job, event.now, event.why, made)

    def _drop(self, job: Job, now: int, why: str, made: list[Decision]) -> None:
        self._tell(job, now, why)
        if job.device is not None:
            job.is_cancelled = True
            running = self._running(job.device)
            if running and not running.is_preempted:
                running.is_preempted = True
                made.append(Preempt(job.device, job.number))
            return
        if job.job_class is JobClass.REALTIME:
            self.realtime.remove(job)
        else:
            self.fair.remove(self.fair.flows[job.tenant], job)
        self._end(job, now, made)

    def _tenant_closed(self, event: TenantClosed, made: list[Decision]) -> None:
        self._flow(event.name)
        for job in [job for job in self.jobs.values() if job.tenant == event.name]:
            self._drop(job, event.now, "its tenant is gone", made)
        del self.fair.flows[event.name]

    # Devices get slices

    def _fill(self, now: int, made: list[Decision]) -> None:
        while self._idle:
            chosen = self._choose(now)
            if chosen is None:
                return
            job, flow, job_class, expected = chosen
            device = next(iter(self._idle))
            del self._idle[device]
            budget = self.policy.slices_ns[job_class]
            if job_class is JobClass.REALTIME:  # beyond what it was promised it has no better claim than others
                budget = min(budget, max(int(job.remaining_ns), 1))
            is_alone = self._can_stop and job_class is not JobClass.REALTIME and not self.is_anybody_waiting()
            if is_alone:
                budget = max(budget, self.policy.alone_ns)
            units = self.history.fit(job.kernel, budget, job.units - job.next_unit)
            charged = 0 if job_class is JobClass.REALTIME else int(expected)
            running = Running(device, job, flow, job_class, now, charged, self._is_contended(job), is_alone)
            job.device = device
            self.devices[device] = running
            made.append(Dispatch(device, job.number, job.next_unit, units, budget))

    def _choose(self, now: int) -> tuple[Job, Flow, JobClass, float] | None:
        """The next job: REALTIME by deadline, then the tenant that had least for its weight."""
        first = self.realtime.first_waiting() if len(self.realtime) else None
        if first is not None:
            assert first.deadline is not None
            self._tell(first, now, "runs: its deadline, in {:.3g} ms, is the earliest", (first.deadline - now) / 1e6)
            return first, self.fair.flows[first.tenant], JobClass.REALTIME, 0.0
        classes, why = self.shares.allowed(self.fair.waiting)
        found = self.fair.peek(classes)
        if found is None:
            return None
        flow, job_class = found
        head = flow.queues[job_class][0]
        budget = self.policy.slices_ns[job_class]
        expected = self.history.expect(head.kernel, head.units - head.next_unit)
        charged = budget if expected is None else min(expected, budget)
        tag = flow.tag
        job = self.fair.take(flow, job_class, charged)
        if why:
            self._tell(
                job, now, "runs: {}, and of the others its tenant had least for its weight ({:.4g} ms)", why, tag / 1e6
            )
        else:
            self._tell(job, now, "runs: its tenant had least device time for its weight ({:.4g} ms)", tag / 1e6)
        return job, flow, job_class, charged

    def is_anybody_waiting(self) -> bool:
        """Whether a job could run that does not."""
        return bool(self.fair.waiting) or (len(self.realtime) > 0 and self.realtime.first_waiting() is not None)

    def _is_contended(self, job: Job) -> bool:
        """Whether a job of another class waits now."""
        if len(self.realtime) and job.job_class is not JobClass.REALTIME:
            return True
        waiting = self.fair.waiting
        return len(waiting) > 1 or (len(waiting) == 1 and waiting[0] is not job.job_class)

    # What else

    def _note_late(self, now: int) -> None:
        if len(self.realtime):
            for job in self.realtime.late(now):
                job.is_late = True
                self._tell(job, now, "its deadline is over, and it goes on")

    def _running(self, device: str) -> Running | None:
        if device not in self.devices:
            raise UsageError(f"there is no device {device!r}")
        return self.devices[device]

    def _flow(self, tenant: str) -> Flow:
        if tenant not in self.fair.flows:
            raise UsageError(f"there is no tenant {tenant!r}")
        return self.fair.flows[tenant]

    def _tell(self, job: Job, now: int, form: str, *values: object) -> None:
        self._reasons[job.number].add(now, form, *values)

    def _forget_reasons(self) -> None:
        """A job ended: of those that did, the newest are remembered."""
        self._ended += 1
        if self._ended > self.policy.ended_jobs:
            # Jobs that have not ended are few; they go to the back and are looked at once in a round.
            for number in list(self._reasons):
                if number not in self.jobs:
                    del self._reasons[number]
                    self._ended -= 1
                    return
                self._reasons.move_to_end(number)


def _weight(weight: float) -> float:
    if not 0 < weight < float("inf"):
        raise UsageError(f"a weight is above 0, not {weight:g}")
    return weight
