"""``learn SOURCE -o LIBRARY`` makes proved programs of a guest's hot loops; ``learn show LIBRARY`` says what is known of them."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    Verbs,
    add_json,
    add_verb,
    connect,
    print_json,
    print_table,
    say,
)
from .trace_names import add_names, names_from
from .trace_record import describe, interruptible

if TYPE_CHECKING:
    from pixel_cpu.learn.loop_library import LearnedLoop

    from ..trace.analysis.naming import Naming
    from ..wire.records import Process
    from ..wire.trace_records import Progress

_ACTIONS = ("from", "show")
_SECONDS = 20.0
_COLUMNS = ("share", "where", "process", "class", "verdict", "contract", "speed")


def spell_out(words: list[str]) -> list[str]:
    """``learn SOURCE …`` as ``learn from SOURCE …``; a machine called ``show`` needs the long form."""
    if words[:1] == ["learn"] and len(words) > 1 and words[1] not in (*_ACTIONS, "-h", "--help"):
        return ["learn", "from", *words[1:]]
    return words


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "learn", learn, "glassbox learn demo --seconds 20 -o library/")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = add_verb(actions, "from", learn, "glassbox learn work.gbt --symbols demo -o library/")
    parser.add_argument("source", metavar="SOURCE", help="a running machine, which is recorded, or the file of a trace")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="LIBRARY", help="the folder of the library")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help=f"how long a machine is recorded (default: {_SECONDS:g})"
    )
    parser.add_argument(
        "-n", "--count", type=int, default=50, metavar="N", help="how many loops (default: %(default)s)"
    )
    add_names(parser)
    add_json(parser)
    parser = add_verb(actions, "show", show, "glassbox learn show library/ --json")
    parser.add_argument("folder", type=Path, metavar="LIBRARY", help="the folder of a library")
    add_json(parser)


def learn(options: argparse.Namespace) -> None:
    """Find the hot loops of a guest, say what each is, prove a kernel equal to it, and write it as a program into a library.

    Ctrl-C ends the recording of a machine early; afterwards it ends the work, and what is finished stays.
    """
    _check(options)
    with _source(options) as (path, naming):
        loops = _learn(options, path, naming)
    if options.json:
        _show(loops, True)


def show(options: argparse.Namespace) -> None:
    """Print what is known of the loops of a library: where they ran, what they are, what is proved of them."""
    # The parser must not wait for NumPy and Z3.
    from pixel_cpu.learn.loop_library import read_library

    _show(read_library(options.folder), options.json)


def _check(options: argparse.Namespace) -> None:
    """Refuse what would only fail after the recording."""
    from pixel_cpu.errors import UsageError
    from pixel_cpu.frontends.x86.pcode import decode

    if options.count < 1 or (options.seconds is not None and not 0 < options.seconds <= 3600):
        raise UsageError("give -n 1 or more, and --seconds above 0 and up to 3600")
    decode(0, b"\x90")  # raises with the way out where pypcode is not installed
    options.output.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _source(options: argparse.Namespace) -> Iterator[tuple[Path, Naming]]:
    """The trace and the names; a machine is recorded into a file that goes away."""
    from ..trace.file.reader import TraceReader

    if Path(options.source).is_file():
        from ..errors import UsageError

        if options.seconds is not None:
            raise UsageError(f"{options.source} is a trace, which is recorded already; --seconds is for a machine")
        with TraceReader(Path(options.source)) as trace:
            about = trace.info.about
        yield Path(options.source), names_from(options.symbols).during(about)
        return
    options.name = options.source
    with tempfile.TemporaryDirectory(prefix="glassbox-") as folder, connect(options) as client:
        from ..trace.analysis.naming import naming_of_machine
        from ..trace.recording.record import record_trace
        from ..wire.trace_records import RecordOptions

        path = Path(folder) / "work.gbt"
        seen: list[Process] = []
        wanted = RecordOptions(seconds=options.seconds or _SECONDS)
        say(f"recording {options.name} for {wanted.seconds:g} s; Ctrl-C ends it early")

        def look(progress: Progress) -> None:
            # Most processes are gone when the work begins that needs their names.
            seen.extend(client.ps().value)

        with interruptible() as stopped:
            result = record_trace(client, path, wanted, look, stopped)
        say(describe(result.progress))
        yield path, naming_of_machine(client, seen)


def _learn(options: argparse.Namespace, path: Path, naming: Naming) -> list[LearnedLoop]:
    from pixel_cpu.learn.improve import improve
    from pixel_cpu.learn.loop_library import write_library, write_loop
    from pixel_cpu.learn.mine import find_loops
    from pixel_cpu.learn.prove import Prover
    from pixel_cpu.learn.study import study

    from ..trace.analysis.mining import mine

    finished: list[LearnedLoop] = []
    refused = 0
    begun = time.monotonic()
    try:
        with mine(path) as found, Prover() as prover:
            say(f"{found.instructions} instructions counted in {time.monotonic() - begun:.1f} s")
            for loop in find_loops(found, naming, options.count):
                refused += bool(loop.refused)
                for written in write_library(options.output, [loop]):
                    studied = improve(options.output, study(written, prover), prover)
                    write_loop(options.output, studied)
                    finished.append(studied)
                    say(f"{len(finished):3}  {loop.share:6.1%}  {written.name}: {_said(studied)}")
                if loop.refused:
                    say(f"  -  {loop.share:6.1%}  {loop.symbol or hex(loop.head)}: not lifted: {loop.refused}")
    except KeyboardInterrupt:
        say(f"stopped; the {len(finished)} loops that were finished are in {options.output}")
        raise
    share = sum(loop.found.share for loop in finished)
    proved = [loop for loop in finished if loop.facts["verdict"] == "proved"]
    say(f"{len(finished)} loops with {share:.1%} of the instructions in {options.output}, {refused} were not lifted")
    say(
        f"{len(proved)} proved, with {sum(loop.found.share for loop in proved):.1%}; {time.monotonic() - begun:.1f} s after the recording"
    )
    return finished


def _said(loop: LearnedLoop) -> str:
    facts = loop.facts
    words = [f"{facts['class']} ({facts['reason']})" if facts["reason"] else facts["class"], facts["verdict"]]
    words += [facts["speed"]] if facts.get("speed") else []
    return ", ".join(words) + ("" if facts["verdict"] == "proved" else f": {facts['why']}")


def _show(loops: list[LearnedLoop], as_json: bool) -> None:
    if as_json:
        print_json([_row(loop) for loop in loops])
        return
    rows = []
    for loop in loops:
        row = _row(loop)
        rows.append([f"{row['share']:.1%}", *(row[column] for column in _COLUMNS[1:])])
    print_table(rows, _COLUMNS)
    unproved = sum(loop.facts.get("verdict") != "proved" for loop in loops)
    if unproved:
        say(
            f"{unproved} of {len(loops)} are not proved: 'glassbox start NAME --learned' compares these with QEMU and runs the others in place"
        )


def _row(loop: LearnedLoop) -> dict[str, Any]:
    """What the table shows of a loop, and with --json all that is known."""
    found, facts = loop.found, loop.facts
    return {
        "name": loop.name,
        "where": found.symbol or f"{found.head:#x}",
        "head": f"{found.head:#x}",
        "process": found.process or ("kernel" if found.ring == 0 else f"root {found.root:#x}"),
        "ring": found.ring,
        "share": found.share,
        "rounds": found.rounds,
        "length": found.length,
        "class": facts.get("class", ""),
        "verdict": facts.get("verdict", ""),
        "why": facts.get("why", ""),
        "contract": facts.get("contract", {}).get("sentence", ""),
        "speed": facts.get("speed", ""),
        "facts": dict(facts),
    }
