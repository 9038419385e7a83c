"""Units of a trace file: cut off anywhere, damaged anywhere; always whole frames or a sentence."""

import json
import os
import zlib

import numpy as np
import pytest
from trace_reading import read_everything

from qemu_bridge.errors import GlassBoxError, TraceError, UsageError
from qemu_bridge.trace.file.container import TraceFile
from qemu_bridge.trace.file.format import HEADER, Content, Section, pack_unit
from qemu_bridge.trace.file.reader import TraceReader


def test_a_file_cut_off_anywhere_reads_up_to_its_last_whole_frame(sample, tmp_path, program):
    data, ids = sample[0].read_bytes(), sample[1]
    with TraceFile(sample[0]) as file:
        offsets, sizes = file.offsets, [int(unit["bytes"]) + 64 for unit in file.units]
    ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
    assert len(ends) > 4
    cut = tmp_path / "cut.gbt"
    for length in {*range(offsets[0], len(data), 997), *ends, ends[2] - 1, ends[2] + 63, len(data) - 1}:
        cut.write_bytes(data[:length])
        with TraceReader(cut) as trace:
            assert len(trace) == sum(end <= length for end in ends) and not trace.info.is_complete
            found = [frame.dictionary.ids[frame.numbers()] for frame in trace.frames()]
            assert np.array_equal(np.concatenate([*found, ids[:0]]), ids[: trace.info.blocks])
    for length in (0, 5, offsets[0] - 1):
        cut.write_bytes(data[:length])
        with pytest.raises((TraceError, UsageError)):
            TraceReader(cut)


def mutate(random, data):
    """A few bytes changed, a piece taken out, or a piece doubled."""
    bad = bytearray(data)
    for _ in range(random.integers(1, 4)):
        kind, place = random.integers(0, 4), int(random.integers(0, len(bad)))
        if kind < 2:
            bad[place] = int(random.integers(0, 256))
        elif kind == 2:
            del bad[place : place + int(random.integers(1, 200))]
        else:
            bad[place:place] = bad[place : place + int(random.integers(1, 200))]
    return bytes(bad)


def try_mutations(sample, tmp_path, rounds, seed):
    random, data = np.random.default_rng(seed), sample[0].read_bytes()
    refused = 0
    for _ in range(rounds):
        bad = tmp_path / "bad.gbt"
        bad.write_bytes(mutate(random, data))
        try:
            read_everything(bad)
        except GlassBoxError:
            refused += 1
    return refused


def test_damaged_files_raise_our_own_errors_only(sample, tmp_path):
    assert try_mutations(sample, tmp_path, 150, 1)


@pytest.mark.long
def test_thousands_of_damaged_files_raise_our_own_errors_only(sample, tmp_path):
    assert try_mutations(sample, tmp_path, 10000, 2)


def forge(sample, path, change):
    """The sample with one section of its first frame replaced, every checksum right."""
    with TraceFile(sample[0]) as file:
        sections, table = file.read(0), file.sections(0)
        contents = []
        for row in table:
            kind, vcpu = Section(int(row["kind"])), int(row["vcpu"])
            contents.append(change(Content(kind, vcpu, sections.read(kind, vcpu), int(row["items"]))))
        unit, head = file.units[0], sample[0].read_bytes()[: file.offsets[0]]
    fields = {name: int(unit[name]) for name in ("blocks", "first_instruction", "instructions", "time_ns")}
    header, pieces = pack_unit(b"GBfr", contents, **fields)
    path.write_bytes(head + header.tobytes() + b"".join(pieces))


def test_lies_under_right_checksums_raise_our_own_errors_only(sample, tmp_path):
    random, path, refused = np.random.default_rng(5), tmp_path / "forged.gbt", 0
    kinds = [Section.DICTIONARY, Section.VCPU, Section.RUNS, Section.MISSES, Section.EVENTS, Section.EVENT_AT]
    kinds += [Section.CHUNKS, Section.HOMES]
    for number in range(400):
        wanted = kinds[number % len(kinds)]

        def change(content, wanted=wanted):
            if content.kind is not wanted:
                return content
            data, items = bytearray(content.data.tobytes()), content.items
            for place in random.integers(0, max(1, len(data)), random.integers(0, 5)).tolist():
                if data:
                    data[place] = int(random.integers(0, 256))
            if random.random() < 0.3:
                items = [0, 1, items + 1, 1 << 40, (1 << 64) - 1][random.integers(0, 5)]
            if random.random() < 0.3:
                data = data[: int(random.integers(0, len(data) + 1))]
            return Content(content.kind, content.vcpu, bytes(data), items)

        forge(sample, path, change)
        try:
            read_everything(path)
        except GlassBoxError:
            refused += 1
    assert refused > 100


def test_a_section_may_not_claim_more_than_it_can_hold(sample, tmp_path):
    with TraceFile(sample[0]) as file:
        content = Content(Section.RUNS, 0, b"x" * 1000, 1000)
        header, pieces = pack_unit(b"GBfr", [content])
        table = np.frombuffer(bytearray(pieces[0]), file.sections(0).dtype)
        table["raw_bytes"] = 1 << 50
        head = sample[0].read_bytes()[: file.offsets[0]]
    body = table.tobytes() + pieces[1]
    header["crc"] = zlib.crc32(body)
    header["own_crc"] = zlib.crc32(header.tobytes()[:-4])
    path = tmp_path / "large.gbt"
    path.write_bytes(head + header.tobytes() + body)
    with TraceFile(path) as file, pytest.raises(TraceError, match="claims"):
        file.read(0).read(Section.RUNS)


def test_the_index_names_page_table_roots_and_ids_of_each_frame(sample):
    path, _ = sample
    with TraceReader(path) as trace:
        assert trace.info.is_complete
        for frame, roots, found in zip(trace.frames(), trace.file.roots(), trace.file.ids(), strict=True):
            assert set(frame.dictionary.ids.tolist()) == set(found.tolist())
            assert 0x1000 in roots.tolist()


def test_what_is_no_trace_is_not_read(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is no trace, and it is longer than a header would be. " * 3)
    with pytest.raises(TraceError, match="is no trace"):
        TraceFile(path)
    pipe = tmp_path / "pipe.gbt"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="cannot be read"):
        TraceFile(pipe)
    with pytest.raises(UsageError, match="cannot be read"):
        TraceFile(tmp_path / "missing.gbt")


def with_header(data, about=None, **fields):
    """The file with another header, its checksum right."""
    header = np.frombuffer(data[: HEADER.itemsize], HEADER)[0].copy()
    first = HEADER.itemsize + int(header["json_bytes"])
    text = data[HEADER.itemsize : first] if about is None else about
    header["json_bytes"] = len(text)
    for name, value in fields.items():
        header[name] = value
    header["crc"] = zlib.crc32(header.tobytes()[:-4] + text)
    return header.tobytes() + text + data[first:]


@pytest.mark.parametrize("vcpus", [0, 256, 1 << 31, (1 << 32) - 1])
def test_a_number_of_vcpus_that_no_machine_has_is_refused_at_once(vcpus, sample, tmp_path):
    path = tmp_path / "hostile.gbt"
    path.write_bytes(with_header(sample[0].read_bytes(), vcpus=vcpus))
    with pytest.raises(TraceError, match=f"claims {vcpus} vCPUs"):
        TraceReader(path)


@pytest.mark.parametrize(
    "about",
    [
        {"features": "all"},
        {"features": [3]},
        {"features": 1e300},
        {"scope": {}},
        {"mode": "lossy"},
        {"ranges": 5},
        {"ranges": [[1]]},
        {"roots": "0x1000"},
        {"features": None},
    ],
    ids=str,
)
def test_a_header_of_another_type_is_damage(about, sample, tmp_path):
    path = tmp_path / "hostile.gbt"
    path.write_bytes(with_header(sample[0].read_bytes(), json.dumps(about).encode()))
    with pytest.raises(TraceError, match="its header is invalid"):
        TraceReader(path)


@pytest.mark.parametrize("about", [b"", b"[]", b"{" * 5000, b"7", b"\xff\xff", b'{"machine": [1, 2], "more": null}'])
def test_a_header_with_nothing_that_is_needed_reads(about, sample, tmp_path):
    path = tmp_path / "odd.gbt"
    path.write_bytes(with_header(sample[0].read_bytes(), about))
    with TraceReader(path) as trace:
        assert len(trace) and trace.info.features == 0 and not trace.info.is_filtered
