"""Recording and counting: the same result from Python, from the command line's JSON and over the wire."""

from __future__ import annotations

import json

import msgspec
import pytest
from support import find_sound, glassbox

from qemu_bridge.cli.trace_names import names_from
from qemu_bridge.trace.analysis.top import top
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.recording.record import record_trace
from qemu_bridge.wire.json_text import decode_json, encode_json
from qemu_bridge.wire.trace_records import PathOrder, RecordEnd, RecordOptions, RecordResult, TopOptions, TopResult

pytestmark = pytest.mark.guest


@pytest.fixture
def busy(machine):
    """A process of the guest never sleeps."""
    pid = machine.exec("while :; do :; done > /dev/null 2>&1 & echo $!").decode().strip()
    yield machine
    machine.exec(f"kill {pid}")


def decoded(text, kind):
    """The record that JSON says, which must hold nothing else."""
    record = decode_json(text.encode(), kind)
    assert json.loads(encode_json(record)) == json.loads(text)
    return record


def shape(value):
    """The names of all fields, inner ones too."""
    return {name: shape(each) for name, each in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("options", "words", "end"),
    [
        (RecordOptions(instructions=300_000), ("--insns", "300000"), RecordEnd.INSTRUCTIONS),
        (RecordOptions(seconds=0.3, memory=True), ("--seconds", "0.3", "--mem"), RecordEnd.TIME),
        (RecordOptions(until="sym:schedule"), ("--until", "sym:schedule"), RecordEnd.UNTIL),
    ],
    ids=("instructions", "time", "until"),
)
def test_a_recording_ends_alike_from_python_the_command_line_and_the_wire(busy, tmp_path, options, words, end):
    paths = [tmp_path / f"{name}.gbt" for name in ("python", "cli", "wire")]
    results = [record_trace(busy.client, paths[0], options)]
    answer = glassbox("trace", "record", busy.name, "-o", str(paths[1]), "--json", *words)
    assert answer.returncode == 0, answer.stderr
    results.append(decoded(answer.stdout, RecordResult))
    results.append(busy.client.trace_record(str(paths[2]), options))
    for result, path in zip(results, paths, strict=True):
        assert (result.file, result.end, result.error) == (str(path), end, "")
        assert bool(result.progress.accesses) == options.memory
        find_sound(path)
        with TraceReader(path) as trace:
            assert result.progress.instructions == trace.info.instructions > 0
    assert len({json.dumps(shape(msgspec.to_builtins(result))) for result in results}) == 1


@pytest.fixture(scope="module")
def recorded(machine, tmp_path_factory):
    """A trace of the session's guest at work."""
    path = tmp_path_factory.mktemp("top") / "work.gbt"
    pid = machine.exec("while :; do :; done > /dev/null 2>&1 & echo $!").decode().strip()
    record_trace(machine.client, path, RecordOptions(instructions=500_000))
    machine.exec(f"kill {pid}")
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (TopOptions(count=4), ("-n", "4")),
        (TopOptions(ring=0, by=PathOrder.TOTAL), ("--kernel", "--by", "total")),
    ],
    ids=("four", "kernel"),
)
def test_top_is_the_same_from_python_the_command_line_and_the_wire(machine, recorded, options, words):
    told = []
    # Names of processes are those of this moment.
    with machine.paused():
        python = top(recorded, options, names_from(machine.name))
        answer = glassbox("trace", "top", str(recorded), "--symbols", machine.name, "--json", *words)
        with machine.client.progress(lambda *now: told.append(now)):
            wire = machine.client.trace_top(str(recorded), options)
    assert answer.returncode == 0, answer.stderr
    assert python == decoded(answer.stdout, TopResult) == wire
    assert python.blocks and python.paths
    if options.ring == 0:
        assert all(line.symbol for block in python.blocks for line in block.code)
    assert told and told[-1][0] == told[-1][1]


def test_progress_of_a_recording_is_told_over_the_wire(busy, tmp_path):
    told = []
    with busy.client.progress(lambda done, total: told.append(done)):
        busy.client.trace_record(str(tmp_path / "told.gbt"), RecordOptions(seconds=3))
    assert told and told == sorted(told)
