"""The metadata of a trace: sums, sections, gaps; the same from Python and from the command line."""

import json
from dataclasses import asdict

import pytest
from support import glassbox
from trace_producer import Event, Producer, event, split64, window_start, window_stop
from trace_program import Program, pieces_of, record_words

from qemu_bridge.trace.analysis.info import DroppedChunks, read_info
from qemu_bridge.trace.recording.recorder import Recorder
from tcg_plugin.layout import Mode


@pytest.fixture(scope="module")
def program():
    return Program()


def test_python_and_the_command_line_give_the_same(program, tmp_path):
    path = record_words(tmp_path, program, pieces_of(program.walk(3000)), 700)
    found = read_info(path)
    assert found.trace.blocks == 3000 and not found.gaps
    assert 0 < sum(found.sections.values()) < found.trace.file_bytes == path.stat().st_size
    assert found.bytes_per_instruction == found.trace.file_bytes / found.trace.instructions
    answer = json.loads(glassbox("trace", "info", str(path), "--json").stdout)
    more = {"gaps": [], "bytes_per_instruction": found.bytes_per_instruction, "sections": found.sections}
    assert answer == json.loads(json.dumps(asdict(found.trace))) | more
    text = glassbox("trace", "info", str(path)).stdout
    assert "about.features" in text and "runs_bytes" in text and "0, of 0 words" in text


def test_gaps_are_where_the_headers_of_chunks_say(program, tmp_path):
    producer = Producer(tmp_path, chunk_bytes=4096, chunks=4, mode=Mode.LOSSY)
    recorder = Recorder(producer.control, tmp_path / "trace.gbt", {"mode": int(Mode.LOSSY)})
    producer.publish(program.records)
    producer.put([*window_start(), 1, 2])
    gap = event(Event.GAP, *split64(100), *split64(1), *split64(0), *split64(0), *split64(0))
    producer.put([*gap, 3, *window_stop()], lost_words=100, lost_chunks=1)
    recorder.step()
    producer.end()
    recorder.finish()
    producer.close()
    (found,) = read_info(tmp_path / "trace.gbt").gaps
    assert found == DroppedChunks(frame=0, vcpu=0, block=2, time_ns=found.time_ns, words=100, chunks=1)
    text = glassbox("trace", "info", str(tmp_path / "trace.gbt")).stdout
    assert "1, of 100 words" in text and "gap: frame 0, vcpu 0, block 2" in text
