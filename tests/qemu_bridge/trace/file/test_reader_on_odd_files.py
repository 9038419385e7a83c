"""The verbs that read traces, on traces that nobody hopes for: an answer or one sentence, never a traceback."""

from __future__ import annotations

import json

import numpy as np
import pytest
from trace_producer import Event, Producer, event, split64, window_start, window_stop
from trace_program import Program, pieces_of, record_words

from qemu_bridge import cli
from qemu_bridge.trace.recording.recorder import Recorder

FORMATS = ("parquet", "json", "drcov", "bbv", "perfetto", "folded")
GAP = event(Event.GAP, *split64(100), *split64(1))


class Empty:
    records = b""


def ids_of(program, count=3000):
    return program.walk(count)


def no_frames(folder, program):
    """A recorder that was told of nothing."""
    folder.mkdir()
    producer = Producer(folder)
    recorder = Recorder(producer.control, folder / "trace.gbt", {"features": 3})
    producer.end()
    recorder.step()
    recorder.finish()
    producer.close()
    return folder / "trace.gbt"


def no_blocks(folder, program):
    return record_words(folder, program, [window_start(), window_stop()])


def one_frame(folder, program):
    return record_words(folder, program, pieces_of(ids_of(program)), 1 << 20)


def one_block(folder, program):
    return record_words(folder, program, [[*window_start(), 1, *window_stop()]])


def many_frames(folder, program):
    return record_words(folder, program, pieces_of(ids_of(program)), 500)


def cut_in_a_frame(folder, program):
    path = many_frames(folder, program)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def with_gaps(folder, program):
    words = [[*window_start(), *ids_of(program, 100).tolist()], [*GAP, *ids_of(program, 100).tolist(), *window_stop()]]
    return record_words(folder, program, words)


def three_vcpus_one_asleep(folder, program):
    words = [pieces_of(ids_of(program)), [window_start(), window_stop()], pieces_of(ids_of(program, 50))]
    return record_words(folder, program, words, 700, vcpus=3)


def kernel_only(folder, program):
    return record_words(folder, program, pieces_of(ids_of(program)), 700, scope=1)


TRACES = (
    *(no_frames, no_blocks, one_frame, one_block, many_frames, cut_in_a_frame),
    *(with_gaps, three_vcpus_one_asleep, kernel_only),
)


@pytest.fixture(scope="module", params=TRACES, ids=lambda make: make.__name__)
def path(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("odd") / "trace", Program())


def run(capsys, *words):
    """Exit status, what was said to standard output, and to standard error."""
    try:
        status = cli.main(["trace", *map(str, words)])
    except SystemExit as error:
        status = int(error.code or 0)
    answer = capsys.readouterr()
    assert "Traceback" not in answer.err and "Warning" not in answer.err
    return status, answer.out, answer.err


@pytest.mark.parametrize(
    "words",
    [
        *([verb, "PATH", "--json"] for verb in ("info", "check", "top", "show")),
        ["top", "PATH", "--json", "--by", "total", "--kernel"],
        ["top", "PATH", "--json", "--user", "--workers", "3"],
        ["top", "PATH", "--json", "--root", "0x123"],
        ["diff", "PATH", "PATH", "--json"],
    ],
    ids=" ".join,
)
def test_json_or_a_sentence(words, path, capsys):
    status, out, err = run(capsys, *(path if word == "PATH" else word for word in words))
    if out:
        json.loads(out)
    else:
        assert status and err.startswith("glassbox: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", (["top"], ["show"], ["show", "--vcpu", "2"], ["check"], ["info"]), ids=" ".join)
def test_text_or_a_sentence(words, path, capsys):
    status, out, err = run(capsys, words[0], path, *words[1:])
    assert (out or err) and (not status or len(err.splitlines()) == 1)


@pytest.mark.parametrize("form", FORMATS)
def test_exports_of_what_there_is(form, path, tmp_path, capsys):
    status, _, err = run(capsys, "export", path, "--format", form, "-o", tmp_path / "out")
    assert status == 0, err
    assert (tmp_path / "out").exists() or form == "bbv"


def test_there_is_a_sentence_for_what_cannot_be(tmp_path, capsys):
    program = Program()
    path = one_frame(tmp_path / "trace", program)
    for words in (
        ("show", path, "--vcpu", "7"),
        ("show", path, "--at", "99999999"),
        ("show", path, "--symbols", "no-such-machine"),
        ("top", path, "--symbols", tmp_path),
        ("diff", path, path, "--vcpu", "-1"),
        ("top", path, "--pid", "3"),
        ("export", path, "--format", "json", "-o", path),
        ("top", tmp_path),
    ):
        status, out, err = run(capsys, *words)
        assert status and not out and err.startswith("glassbox: ") and len(err.splitlines()) == 1, words


def test_sums_do_not_depend_on_gaps_and_vcpus(tmp_path, capsys):
    program = Program()
    for make in (with_gaps, three_vcpus_one_asleep, cut_in_a_frame):
        _, out, _ = run(capsys, "top", make(tmp_path / make.__name__, program), "--json", "-n", "1000")
        answer = json.loads(out)
        assert sum(row["instructions"] for row in answer["blocks"]) == answer["instructions"]
        assert sum(row["instructions"] for row in answer["processes"]) == answer["instructions"]
        assert sum(row["instructions"] for row in answer["paths"]) <= answer["instructions"]
        assert np.isclose(sum(row["share"] for row in answer["processes"]), 1)
