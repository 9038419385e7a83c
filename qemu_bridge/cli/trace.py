"""Verbs about execution: ``trace NAME -o FILE`` records; ``trace info|check|show|diff|top|export FILE`` reads; ``trace stop NAME`` ends."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GlassBoxError, MachineError, UsageError
from ..wire import connection
from . import trace_options, trace_top
from .options import Verbs, add_json, add_name, add_verb, connect, print_json, printable, say
from .trace_names import Names

if TYPE_CHECKING:
    from ..client import Client
    from ..machine.config import MachineConfig
    from ..trace.analysis.check import Report
    from ..trace.file.reader import TraceReader
    from ..trace.recording.control import ArmOptions, TraceControl
    from ..trace.recording.recorder import Progress, Recorder

_WORDS = ("record", "stop", "info", "check", "show", "diff", "top", "export")
_PROGRESS_S = 1.0
_MOST_GAPS = 20
"""That `trace check` and `trace info` print; --json has more."""
_RUNNING = "running"


def spell_out(words: list[str]) -> list[str]:
    """``trace NAME …`` as ``trace record NAME …``; a machine called ``info`` needs the long form."""
    if words[:1] == ["trace"] and len(words) > 1 and words[1] not in (*_WORDS, "-h", "--help"):
        return ["trace", "record", *words[1:]]
    return words


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "trace", record, "glassbox trace demo -o demo.gbt --seconds 5")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    trace_options.add_record(add_verb(actions, "record", record, "glassbox trace demo -o demo.gbt --until sym:do_exit"))
    add_name(add_verb(actions, "stop", stop))
    for name, function in (("info", info), ("check", check)):
        parser = add_verb(actions, name, function, f"glassbox trace {name} demo.gbt")
        parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
        add_json(parser)
    parser = add_verb(actions, "show", show, "glassbox trace show demo.gbt --at 1000000 --count 40 --symbols demo")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("--at", type=int, default=0, metavar="N", help="the first instruction (default: %(default)s)")
    parser.add_argument("--count", type=int, default=40, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--vcpu", type=int, default=0, metavar="N", help="of which vCPU (default: %(default)s)")
    trace_top.add_names(parser)
    add_json(parser)
    parser = add_verb(actions, "diff", diff, "glassbox trace diff one.gbt other.gbt")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("other", type=Path, metavar="OTHER", help="another trace")
    parser.add_argument("--vcpu", type=int, default=0, metavar="N", help="of which vCPU (default: %(default)s)")
    add_json(parser)
    trace_top.add_verbs(actions)


def record(options: argparse.Namespace) -> int:
    """Record what a machine executes into a file, until asked to end, the time is up or Ctrl-C."""
    from ..trace.recording.control import TraceControl
    from ..trace.recording.recorder import Recorder

    with connect(options) as client:
        path = _trace_path(client)
        wanted = trace_options.arm_options(client, options)
        until = trace_options.find_address(client, options.until) if options.until else None
        control = TraceControl(path)
        recorder = Recorder(control, options.output, _about(client, wanted), until_address=until)
        try:
            done = _record(recorder, client, control, wanted, options)
        finally:
            # While an error is on its way, its traceback holds views of the mapping.
            with contextlib.suppress(BufferError):
                control.close()
    _say_done(done, options)
    return 0


def _record(
    recorder: Recorder, client: Client, control: TraceControl, wanted: ArmOptions, options: argparse.Namespace
) -> Progress:
    generation = int(control.block.generation)
    # What an earlier reader left in the rings is no part of this window: drain only once it is asked for.
    opened = _while(
        lambda: control.block.generation != generation and recorder.step(),
        lambda: client.trace_arm(wanted.to_json(), os.getpid()),
    )
    if opened is not None:
        recorder.abandon()
        options.output.unlink(missing_ok=True)
        raise opened
    failure: BaseException | None = None
    with _interruptible() as interrupted:
        try:
            _drain(recorder, options, interrupted)
        except BaseException as error:
            failure = error
        closed = _while(lambda: failure is None and recorder.step(), client.trace_disarm)
        while failure is None and not recorder.is_over:
            recorder.step()
    if failure is not None:
        # The index too may be more than the disk has room for; the first error says what there is to say.
        with contextlib.suppress(GlassBoxError):
            recorder.finish()
        raise failure
    done = recorder.finish()
    if closed is not None and not isinstance(closed, MachineError):
        raise closed
    return done


def _drain(recorder: Recorder, options: argparse.Namespace, interrupted: threading.Event) -> None:
    shown = time.monotonic()
    begun = None if options.start_at or options.after else shown
    while not (interrupted.is_set() or recorder.is_over or recorder.has_reached):
        taken = recorder.step()
        now = time.monotonic()
        # The time that was asked for begins with the window, which opens when its trigger comes.
        begun = now if begun is None and taken else begun
        if options.seconds is not None and begun is not None and now - begun >= options.seconds:
            return
        if now - shown >= _PROGRESS_S or options.insns is not None:
            progress = recorder.progress
            if options.insns is not None and progress.instructions >= options.insns:
                return
            if now - shown >= _PROGRESS_S and sys.stderr.isatty():
                print(f"\r{_describe(progress)}\x1b[K", end="", file=sys.stderr, flush=True)
                shown = now


def _while(work: Callable[[], object], request: Callable[[], object]) -> BaseException | None:
    """Do `work` over and over while `request` runs: it may wait for vCPUs that wait for us. Returns its error."""
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            request()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="trace-request")
    thread.start()
    while thread.is_alive():
        if not work():
            thread.join(0.001)
    return failed[0] if failed else None


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Inside, Ctrl-C and a polite kill only set the event: the file is finished first."""
    event = threading.Event()
    kept = {number: signal.signal(number, lambda *_: event.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _trace_path(client: Client) -> Path:
    path = client.connection.trace_path
    if not path:
        # The daemon knows why there is none.
        client.trace_status()
        raise MachineError(f"machine {client.name!r} has no plugin that traces; start it again")
    return Path(path)


def _about(client: Client, wanted: ArmOptions) -> dict[str, Any]:
    connection = client.connection
    return {"machine": client.name, "image": getattr(connection, "image", ""), **wanted.to_json()}


def _describe(progress: Progress) -> str:
    rate = progress.instructions / max(progress.seconds, 1e-9) / 1e6
    return (
        f"{progress.instructions / 1e6:.1f} M instructions, {rate:.0f} M/s, {progress.file_bytes / 1e6:.1f} MB, "
        f"{progress.waits} waits ({progress.wait_s:.2f} s), {progress.lost_chunks} chunks dropped"
    )


def _say_done(done: Progress, options: argparse.Namespace) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if options.json:
        print_json({"file": str(options.output), **dataclasses.asdict(done)})
    else:
        say(f"{options.output}: {_describe(done)}")


def stop(options: argparse.Namespace) -> None:
    """End the recording of a machine, whoever records it."""
    with connect(options) as client:
        client.trace_disarm()


def info(options: argparse.Namespace) -> None:
    """Say what a trace is about: machine, size, instructions, losses."""
    from ..trace.file.reader import TraceReader

    with TraceReader(options.file) as trace:
        found = trace.info
        units = trace.file.units
        sections: dict[str, int] = {}
        for number in range(len(units)):
            for row in trace.file.sections(number):
                name = _section_name(int(row["kind"]))
                sections[name] = sections.get(name, 0) + int(row["bytes"])
        gaps = _find_gaps(trace)
    record = dataclasses.asdict(found) | {
        "gaps": gaps,
        "bytes_per_instruction": found.file_bytes / max(1, found.instructions),
        "sections": sections,
    }
    if options.json:
        print_json(record)
        return
    flat = {**record, **{f"{name}_bytes": size for name, size in record.pop("sections").items()}}
    flat["gaps"] = f"{len(gaps)}, of {sum(gap['words'] for gap in gaps)} words"
    for key in ("about", "summary", "sections"):
        nested = flat.pop(key)
        flat |= {} if key == "sections" else {f"{key}.{name}": value for name, value in nested.items()}
    print("\n".join(f"{printable(str(key)):24} {printable(str(value))}" for key, value in flat.items()))
    for gap in gaps[:_MOST_GAPS]:
        print("gap: " + ", ".join(f"{name} {value}" for name, value in gap.items()))
    if len(gaps) > _MOST_GAPS:
        print(f"… {len(gaps) - _MOST_GAPS} more gaps")


def _find_gaps(trace: TraceReader) -> list[dict[str, int]]:
    """Where chunks were dropped, by what the header of the next one says; nothing is decoded for it."""
    from tcg_plugin.layout import Mode

    summary = trace.info.summary
    if trace.info.about.get("mode", Mode.LOSSLESS) == Mode.LOSSLESS and summary and not summary.get("lost_words"):
        return []
    return [
        {
            "frame": frame.number,
            "vcpu": vcpu,
            "block": int(chunk["first_block"]),
            "time_ns": int(chunk["time_ns"]),
            "words": int(chunk["lost_words"]),
            "chunks": int(chunk["lost_chunks"]),
        }
        for frame in trace.frames()
        for vcpu in range(trace.vcpus)
        for chunks in [frame.chunks(vcpu)]
        for chunk in chunks[chunks["lost_words"] > 0]
    ]


def _section_name(kind: int) -> str:
    from ..trace.file.format import Section

    return Section(kind).name.lower() if kind in Section._value2member_map_ else f"kind {kind}"


def _say_holes(report: Report) -> None:
    for gap in report.gap_list[:_MOST_GAPS]:
        print(
            f"frame {gap.frame}, vCPU {gap.vcpu}, block {gap.block}: gap: {gap.words} words in {gap.chunks} chunks were"
            f" dropped, {gap.instructions or 'an unknown number of'} instructions"
        )
    if report.gaps > _MOST_GAPS:
        print(f"… {report.gaps - _MOST_GAPS} more gaps")
    if report.filter_holes:
        say(
            f"filters left out {report.filter_holes} stretches, with at most {report.left_out_instructions} instructions"
            " by privilege and address"
        )


def check(options: argparse.Namespace) -> int:
    """Check that a trace is continuous, complete and counted right; exit status 1 if it is not."""
    from ..trace.analysis.check import check_trace
    from ..trace.file.reader import TraceReader

    with TraceReader(options.file) as trace:
        begun = time.monotonic()
        report = check_trace(trace)
        seconds = time.monotonic() - begun
        complete = trace.info.is_complete
    if options.json:
        print_json(dataclasses.asdict(report) | {"is_complete": complete})
    else:
        for found in report.findings:
            print(f"frame {found.frame}, vCPU {found.vcpu}, block {found.block}: {found.kind}: {printable(found.text)}")
        rate = report.instructions / max(seconds, 1e-9) / 1e6
        say(
            f"{report.count} findings in {report.instructions} instructions, {report.blocks} blocks, {report.frames} frames; "
            f"{report.gaps} gaps, {report.windows} windows, {report.verified_windows} verified ({rate:.0f} M/s)"
        )
        _say_holes(report)
        if report.closed_windows < report.windows:
            say(f"{report.windows - report.closed_windows} windows have no end: what came last may be missing")
        if not complete:
            say("the file was cut off; its whole frames were checked")
    return 0 if report.is_sound else 1


def show(options: argparse.Namespace) -> None:
    """Print the instruction stream from a point on, disassembled and named."""
    from ..trace.analysis.show import show as lines_of
    from ..trace.file.reader import TraceReader

    if options.at < 0 or options.count < 1:
        raise UsageError("--at counts from 0 and --count from 1; give larger numbers")
    symbol = Names(options.symbols).symbol
    with TraceReader(options.file) as trace:
        lines = lines_of(trace, options.vcpu, options.at, options.count, symbol)
        if options.json:
            print_json([dataclasses.asdict(line) for line in lines])
            return
        for line in lines:
            mark = " " if line.kind == "instruction" else "*"
            text = f"{line.instruction:12} {line.root:9x} {line.ring} {line.address:16x} {mark}{line.text}"
            print(printable(f"{text:76} {line.symbol}".rstrip()))


def diff(options: argparse.Namespace) -> int:
    """Say where two traces part; exit status 1 if they do."""
    from ..trace.analysis.diff import diff_traces
    from ..trace.file.reader import TraceReader

    with TraceReader(options.file) as left, TraceReader(options.other) as right:
        found = diff_traces(left, right, options.vcpu)
    if options.json:
        print_json(dataclasses.asdict(found))
    else:
        print(f"the same for {found.same_blocks} blocks, {found.same_instructions} instructions")
        if not found.is_same:
            print(f"then {options.file}: {found.left}\n     {options.other}: {found.right}")
        print(f"different blocks: {found.common} in both, {found.only_left} and {found.only_right} in one only")
    return 0 if found.is_same else 1


def start_recorder(config: MachineConfig, output: Path) -> None:
    """Start the machine of `config` from a process of its own that records it from its first instruction to its end.

    Returns once the machine runs. `MachineError` says why it does not, and the recorder's own words are in trace.log beside
    the machine's other logs.
    """
    log = connection.state_path(config.name) / "trace.log"
    output = output.absolute()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        status = 1
        try:
            os.setsid()
            _record_from_boot(config, output, log, write_end)
            status = 0
        except GlassBoxError as error:
            say(str(error))
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read().decode(errors="replace")
    if answer != _RUNNING:
        raise MachineError(answer or f"the recorder ended without a word; look into {log}")


def _record_from_boot(config: MachineConfig, output: Path, log: Path, pipe: int) -> None:
    from ..machine.launch import launch
    from ..trace.recording.control import ArmOptions, TraceControl
    from ..trace.recording.recorder import Recorder

    wanted = ArmOptions()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        launch(config, trace=wanted)
        control = TraceControl(Path(connection.find_connection(config.name).trace_path))
        about = {"machine": config.name, "image": config.image, **wanted.to_json()}
        recorder = Recorder(control, output, about)
        sink = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (sink, 1), (sink, 2)):
            os.dup2(descriptor, target)
    except BaseException as error:
        os.write(pipe, str(error).encode())
        raise
    os.write(pipe, _RUNNING.encode())
    os.close(pipe)
    with _interruptible() as interrupted:
        try:
            while not recorder.is_over and not interrupted.is_set():
                recorder.step()
        finally:
            say(_describe(recorder.finish()))
