"""Topics about execution: recording a trace, and what is hot in one."""

from __future__ import annotations

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
    if reading.asks_whether:
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
    """The hottest code of a trace file."""
    around = {
        "hot",
        "trace",
        "symbol",
        "text",
        "show",
        "path",
        "last",
        "most",
        "kernel",
        "process",
        "use",
        "limit",
        "where",
        "all",
        "running",
    }
    if not reading.items <= around or not (
        reading.has("hot") or reading.within({"trace", "path"}, around) or reading.within({"most", "symbol", "path"})
    ):
        return None
    paths = [*reading.texts("path"), *reading.names.traces[::-1]]
    is_kernel = any(token.text.lower().startswith("kernel") for token in reading.tokens)
    record = verb(
        "trace",
        "record what is executed for 5 s into trace.gbt",
        "-o",
        "trace.gbt",
        "--seconds",
        "5",
        operation="trace_record",
        output="trace.gbt",
        options={"seconds": 5},
    )
    if not paths:
        return Unsure(
            "what is hot is counted in a trace, and there is no trace file in the working folder; record one, then ask again",
            (record,),
        )
    words = ("trace", "top", paths[0], "--symbols", MACHINE, *(("--kernel",) if is_kernel else ()))
    says = f"the hottest {'kernel ' if is_kernel else ''}code, paths and processes of {paths[0]}"
    options = {"options": {"ring": 0}} if is_kernel else {}
    return Request(says, words, "trace_top", {"file": paths[0], **options})
