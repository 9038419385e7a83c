"""Topics about execution: recording a trace, and what is hot in one."""

from __future__ import annotations

import re

from .reading import Reading
from .request import MACHINE, Meaning, Request, Unsure, call, verb


def tracing(reading: Reading) -> Meaning | None:
    """Tracing: its state, a recording, its end."""
    around = {
        "trace",
        "take",
        "start",
        "stop",
        "status",
        "running",
        "show",
        "second",
        "seconds",
        "path",
        "doing",
        "pause",
        "change",
        "and",
        "owner",
        "kernel",
    }
    is_execution = reading.has("mode_execution") and reading.has("take", "start") and not reading.has("show")
    if not (reading.has("trace") or is_execution) or not reading.items <= (around - {"change"}) | {"mode_execution"}:
        return None
    if reading.asks_whether or re.search(r"\b(state|status)\b", reading.question.lower()):
        return call("trace_status", "whether and how execution is traced")
    if reading.has("stop", "pause"):
        return call("trace_disarm", "stop tracing")
    is_verb = any(token.concept == "trace" and token.text.lower() == "trace" for token in reading.tokens)
    is_recording = reading.has("take", "start", "seconds") or (
        is_verb and not reading.has("status", "running", "show", "doing")
    )
    if not is_recording or reading.has("status"):
        return call("trace_status", "whether and how execution is traced")
    return _record(reading)


def _record(reading: Reading) -> Meaning | None:
    """Record all that is executed, or what the kernel or a process executes."""
    output, seconds = next(iter(reading.texts("path")), "trace.gbt"), next(iter(reading.texts("seconds")), "5")
    words, whose = ["-o", output, "--seconds", seconds], ""
    options: dict[str, object] = {"seconds": float(seconds) if "." in seconds else int(seconds)}
    known = [process for owner in reading.owners for process in reading.pids(owner)]
    if reading.has("owner") and (len(known) != 1 or len(reading.owners) != 1 or reading.has("kernel")):
        return None
    if known:
        words += ["--pid", str(known[0].pid)]
        options["pids"], whose = (known[0].pid,), f" by process {known[0].name} ({known[0].pid})"
    elif reading.has("kernel"):
        words += ["--only", "kernel"]
        options["only"], whose = "kernel", " by the kernel"
    says = f"record what is executed{whose} for {seconds} s into {output}"
    return verb("trace", says, *words, operation="trace_record", output=output, options=options)


def hottest(reading: Reading) -> Meaning | None:
    """The hottest code of a trace file: of all, of the kernel, of user space or of a process; so many."""
    around = {"hot", "trace", "symbol", "text", "show", "path", "last", "most", "kernel", "process", "use", "limit", "where", "all", "running", "user_mode",
              "owner", "newest"}  # fmt: skip
    is_top = reading.within({"trace", "most"}, around) and re.search(r"\btrace[- ]top\b", reading.question.lower())
    if not reading.items <= around or not (
        reading.has("hot")
        or is_top
        or reading.within({"trace", "path"}, around)
        or reading.within({"most", "symbol", "path"})
    ):
        return None
    paths = [*reading.texts("path"), *reading.names.traces[::-1]]
    if not paths:
        record = verb("trace", "record what is executed for 5 s into trace.gbt", "-o", "trace.gbt", "--seconds", "5", operation="trace_record",
                      output="trace.gbt", options={"seconds": 5})  # fmt: skip
        return Unsure(
            "what is hot is counted in a trace, and there is no trace file in the working folder; record one, then ask again",
            (record,),
        )
    known = [process for owner in reading.owners for process in reading.pids(owner)]
    if (reading.has("owner") and len(known) != 1) or reading.has("kernel") + reading.has("user_mode", "owner") > 1:
        return None
    count = reading.number("limit")
    words, options = ["trace", "top", paths[0], "--symbols", MACHINE], {}
    whose = ""
    if count is not None:
        words, options["count"] = [*words, "-n", str(count)], count
    if known:
        words, options["pid"], whose = (
            [*words, "--pid", str(known[0].pid)],
            known[0].pid,
            f" of process {known[0].name} ({known[0].pid})",
        )
    ring = 0 if _is_of_kernel(reading) else 3 if reading.has("user_mode") else None
    if ring is not None:
        words, options["ring"] = [*words, "--user" if ring else "--kernel"], ring
    kind = {0: "kernel ", 3: "user "}.get(ring, "") if ring is not None else ""
    says = f"the {f'{count} ' if count else ''}hottest {kind}code, paths and processes of {paths[0]}{whose}"
    return Request(says, tuple(words), "trace_top", {"file": paths[0], **({"options": options} if options else {})})


def _is_of_kernel(reading: Reading) -> bool:
    return any(token.text.lower().startswith("kernel") for token in reading.tokens)
