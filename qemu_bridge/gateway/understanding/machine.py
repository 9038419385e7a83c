"""Topics about the machine itself: its state, its console and events, what stops and continues it, commands in its guest."""

from __future__ import annotations

import re

from .reading import Reading
from .request import Meaning, Request, Unsure, overlay, verb

_AROUND = {"show", "all", "running"}
_TOP = 10


def status(reading: Reading) -> Meaning | None:
    """The machine's state."""
    around = {
        *_AROUND,
        "pause",
        "stopped",
        "memory",
        "size",
        "count",
        "use",
        "up",
        "since",
        "change",
        "status",
        "doing",
        "when",
    }
    if reading.within({"status"}, around - {"change"}):
        return verb("status", "the machine's state, memory and uptime")
    if reading.within({"running"}) and reading.asks_whether:
        return verb("status", "the machine's state, memory and uptime")
    is_total = re.search(r"\b(total|installed|physical|overall|complete)\b", reading.question.lower()) is not None
    if reading.within({"size"}, {"memory", "show"}) and is_total:
        return verb("status", "the machine's state, memory and uptime")
    if reading.within({"size"}, {"memory", "show"}) and not any(
        "how" in token.text.lower() for token in reading.tokens
    ):
        by_process = overlay(
            "processes", "the processes with the most memory", sort="resident_pages", reverse=True, first=_TOP
        )
        return Unsure(
            "whose memory is not said", (verb("status", "the machine's state, memory and uptime"), by_process)
        )
    if reading.within({"size", "memory"}, {"show", "all"}) or reading.within(
        {"size", "memory", "use"}, {"show", "all"}
    ):
        return verb("status", "the machine's state, memory and uptime")
    return None


def machines(reading: Reading) -> Meaning | None:
    """All machines."""
    if reading.within({"machines"}, {*_AROUND, "count", "status", "size", "memory", "use"}) and not reading.has(
        "count"
    ):
        return Request("all machines of this user", ("status",), "")
    return None


def console(reading: Reading) -> Meaning | None:
    """What the guest printed on its console."""
    if reading.within({"console"}, {*_AROUND, "log", "read", "kernel", "dump"}) and not reading.within(
        {"console", "log", "kernel"}
    ):
        return verb("console", "the guest's console", operation="")
    return None


def events(reading: Reading) -> Meaning | None:
    """The stream of events."""
    return (
        verb("events", "events of the machine as they come", operation="")
        if reading.within({"event"}, {*_AROUND, "machines"})
        else None
    )


def control(reading: Reading) -> Meaning | None:
    """Pause, resume, stop."""
    for concept, name, says in (
        ("pause", "pause", "stop the vCPUs"),
        ("resume", "resume", "continue the vCPUs"),
        ("shutdown", "stop", "end the machine"),
    ):
        if reading.within({concept}, {"running", "all"}) and reading.asks_state:
            return verb("status", "the machine's state, memory and uptime")
        if reading.within({concept}, {"running", "all"}):
            return verb(name, says)
    if reading.within({"stop"}):
        return Unsure("what to stop is not said", (verb("pause", "stop the vCPUs"), verb("stop", "end the machine")))
    return None


def run_in_guest(reading: Reading) -> Meaning | None:
    """A command in the guest."""
    if (
        reading.within({"quoted"}, {"run", "running", "start"})
        and reading.has("run", "running")
        and len(reading.texts("quoted")) == 1
    ):
        command = reading.texts("quoted")[0]
        return verb("exec", f"run {command!r} in the guest", command, command=command)
    return None
