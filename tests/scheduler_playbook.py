"""Playbooks of the scheduler: events in, decisions out, as text. Times are milliseconds.

    open a 60                      a tenant and its weight
    >> 0 submit 1 a units=10 class=batch kernel=k deadline=50 expected=5
    << accept 1 batch
    << run gpu 1 0                 device, job, first unit; a fourth word is the budget
    >> 5 done gpu used=5 next=10   `end`: it ended before its last unit
    << finish 1                    or `finish 1 late`
    >> 6 cancel 1 / tick / up gpu / down gpu / close a / weight a 5
    << preempt gpu 1 / refuse 1 left=3

Lines of `<<` are all decisions of the event before them, in order; an event without any decides nothing.
"""

from gpu_hypervisor.scheduler import (
    Accepted,
    Cancelled,
    DeviceDown,
    DeviceUp,
    Dispatch,
    Finished,
    JobClass,
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

MS = 1_000_000


def play(scheduler, text):
    """Give the scheduler the events of a playbook, and compare what it decides."""
    expected, made, event = [], [], ""
    for line in [*text.strip().splitlines(), ">> end"]:
        line = line.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("<<"):
            expected.append(line[2:].strip())
            continue
        shown = [show(decision, want) for decision, want in zip(made, [*expected, *[""] * len(made)], strict=False)]
        assert shown == expected, f"after {event!r}"
        if line == ">> end":
            return
        event, expected = line, []
        made = scheduler.handle(read(line))


def read(line):
    """The event of a line."""
    words = line.split()
    if words[0] == "open":
        return TenantOpened(0, words[1], float(words[2]))
    now, kind, rest = round(float(words[1]) * MS), words[2], words[3:]
    options = dict(word.partition("=")[::2] for word in rest)
    ms = {name: round(float(options[name]) * MS) for name in ("deadline", "expected", "used") if name in options}
    if kind == "submit":
        given = JobClass(options["class"]) if "class" in options else None
        due = now + ms["deadline"] if "deadline" in ms else None
        kernel, units = options.get("kernel", f"k{rest[0]}"), int(options.get("units", 10))
        return Submitted(now, int(rest[0]), rest[1], kernel, units, given, due, ms.get("expected"))
    if kind == "done":
        return SliceDone(now, rest[0], ms["used"], int(options["next"]), "end" in options)
    if kind == "down":
        return DeviceDown(now, rest[0], ms.get("used", 0))
    if kind == "weight":
        return Weighted(now, rest[0], float(rest[1]))
    others = {"start": Started, "up": DeviceUp, "close": TenantClosed, "cancel": Cancelled, "tick": Tick}
    return others[kind](now, *([int(rest[0])] if kind == "cancel" else rest))


def show(decision, wanted):
    """A decision as the playbook writes it; the budget and what is left only where it is asked for."""
    match decision:
        case Accepted():
            return f"accept {decision.job} {decision.job_class}"
        case Refused():
            return f"refuse {decision.job}" + (f" left={decision.left_ns / MS:g}" if "left=" in wanted else "")
        case Dispatch():
            budget = f" {decision.budget_ns / MS:g}" if len(wanted.split()) > 4 else ""
            return f"run {decision.device} {decision.job} {decision.first}{budget}"
        case Preempt():
            return f"preempt {decision.device} {decision.job}"
        case Finished():
            return f"finish {decision.job}{' late' if decision.is_late else ''}"
    raise AssertionError(decision)
