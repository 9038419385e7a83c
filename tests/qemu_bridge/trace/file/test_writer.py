"""Writing of a trace file: to a full disk, over other files; what was written stays readable."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trace_reading import read_everything

from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.trace.file.container import TraceFile
from qemu_bridge.trace.file.format import Content, Section
from qemu_bridge.trace.file.writer import TraceWriter

ROOT = Path(__file__).resolve().parents[4]

FULL = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
import trace_program
from trace_program import Program, Producer, pieces_of, record_words

def limited(*arguments, **options):
    # The rings' own file is larger than the limit, so that comes first. Ignored, the signal leaves write() to fail.
    producer = Producer(*arguments, **options)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    return producer

trace_program.Producer = limited
program = Program()
try:
    record_words(Path({folder!r}), program, pieces_of(program.walk(8000)))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_ends_in_a_sentence_and_a_readable_file(sample, tmp_path):
    with TraceFile(sample[0]) as file:
        limit = file.offsets[3] + 100
    # A limit on the size of files makes write() fail as a full disk does, after part of the bytes.
    text = FULL.format(tests=str(ROOT / "tests"), root=str(ROOT), limit=limit, folder=str(tmp_path / "full"))
    answer = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=60)
    assert "HostError" in answer.stdout and "its 3 frames can be read" in answer.stdout, answer.stdout + answer.stderr
    assert read_everything(tmp_path / "full" / "trace.gbt") == 3


def test_writing_to_a_full_device_is_told(tmp_path):
    with pytest.raises(HostError, match="free space"):
        TraceWriter(Path("/dev/full"), 1, {}, 0)


def test_what_is_no_trace_is_not_overwritten(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is no trace, and it is longer than a header would be. " * 3)
    with pytest.raises(UsageError, match="another name"):
        TraceWriter(path, 1, {}, 0)
    pipe = tmp_path / "pipe.gbt"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="another name"):
        TraceWriter(pipe, 1, {}, 0)
    with pytest.raises(HostError, match="another name"):
        TraceWriter(tmp_path / "no" / "folder.gbt", 1, {}, 0)


def test_frames_and_their_index_come_back(tmp_path):
    path = tmp_path / "two.gbt"
    writer = TraceWriter(path, 2, {"machine": "demo"}, 77)
    for ids, roots in (([1, 9], [0x5000, 0x1000, 0x5000]), ([4], [0x6000])):
        body = Content(Section.EVENTS, 1, bytes(ids) * 100, len(ids))
        writer.write_frame([body], np.array(roots, np.uint64), np.array(ids, np.uint32), blocks=len(ids))
    assert writer.frames == 2 and not writer.is_closed and writer.size == path.stat().st_size
    writer.close({"seconds": 1.5})
    writer.close({"seconds": 9.9})
    with TraceFile(path) as file:
        assert (file.vcpus, file.time_ns, file.about, file.summary) == (2, 77, {"machine": "demo"}, {"seconds": 1.5})
        assert file.units["blocks"].tolist() == [2, 1] and file.units["number"].tolist() == [0, 1]
        assert [roots.tolist() for roots in file.roots()] == [[0x1000, 0x5000], [0x6000]]
        assert [ids.tolist() for ids in file.ids()] == [[1, 9], [4]]
        assert file.read(1).read(Section.EVENTS, 1).tobytes() == b"\x04" * 100


def test_an_abandoned_file_has_its_frames_and_no_index(tmp_path):
    path = tmp_path / "left.gbt"
    writer = TraceWriter(path, 1, {}, 0)
    writer.write_frame([Content(Section.RUNS, 0, b"abc", 3)], np.zeros(1, np.uint64), np.ones(1, np.uint32), blocks=3)
    writer.abandon()
    assert writer.is_closed
    with TraceFile(path) as file:
        assert not file.is_complete and len(file.units) == 1 and not file.roots() and not file.ids()
