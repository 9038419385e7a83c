"""Exports, read back by other programs or by their published formats, against what the reader gives."""

from __future__ import annotations

import json
import re
from collections import Counter

import duckdb
import numpy as np
import pytest
from trace_program import LENGTHS, SIZE, Program, pieces_of, record_words

from qemu_bridge.cli import trace_top
from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.trace.export import FORMATS, bbv, export
from qemu_bridge.trace.file.reader import TraceReader


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture(scope="module")
def walk(program, tmp_path_factory):
    """(trace of 5000 blocks in several frames, their ids)."""
    ids = program.walk(5000)
    return record_words(tmp_path_factory.mktemp("export"), program, pieces_of(ids), 1000), ids


@pytest.fixture(scope="module")
def two(program, tmp_path_factory):
    """The same of two vCPUs."""
    ids = [program.walk(3000), program.walk(2000)]
    path = record_words(tmp_path_factory.mktemp("two"), program, [pieces_of(own) for own in ids], 1000, vcpus=2)
    return path, ids


def test_parquet_is_read_back_row_for_row(walk, two, tmp_path):
    for path, streams in ((walk[0], [walk[1]]), two):
        output = tmp_path / f"rows{len(streams)}"
        export(path, "parquet", output)
        for vcpu, ids in enumerate(streams):
            rows = duckdb.sql(
                f"SELECT block, id, instruction, root FROM '{output}/blocks-*.parquet' WHERE vcpu = {vcpu} ORDER BY block"
            ).fetchnumpy()
            assert (rows["id"] == ids).all() and (rows["block"] == np.arange(len(ids))).all()
            assert (rows["instruction"] == np.arange(len(ids)) * len(LENGTHS)).all() and set(rows["root"]) == {0x1000}
        with TraceReader(path) as trace:
            known = duckdb.sql(f"SELECT id, address FROM '{output}/dictionary.parquet' ORDER BY id").fetchnumpy()
            order = np.argsort(trace.dictionary.ids)
            assert (known["address"] == trace.dictionary.addresses[order]).all()


def test_json_lines_are_the_blocks_in_order(walk, program, tmp_path):
    export(walk[0], "json", tmp_path / "rows.json")
    rows = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert [row["id"] for row in rows] == walk[1].tolist()
    assert all(row["address"] == program.address(row["id"]) for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]


def test_drcov_parsed_back_holds_each_block_once(walk, program, tmp_path):
    export(walk[0], "drcov", tmp_path / "cov")
    head, table = (tmp_path / "cov").read_bytes().split(b" bbs\n", 1)
    lines = head.decode().splitlines()
    assert lines[0] == "DRCOV VERSION: 2" and lines[2] == "Module Table: version 2, count 1"
    bases = [int(line.split(",")[1], 16) for line in lines[4:-1]]
    entries = np.frombuffer(table, np.dtype([("start", "<u4"), ("size", "<u2"), ("module", "<u2")]))
    assert lines[-1] == f"BB Table: {len(entries)}"
    found = {(bases[entry["module"]] + int(entry["start"]), int(entry["size"])) for entry in entries}
    with TraceReader(walk[0]) as trace:
        known = trace.dictionary.ids.tolist()
    assert found == {(program.address(block), SIZE) for block in known} and len(entries) == len(known)


def test_vectors_sum_to_the_counts(walk, two, tmp_path):
    streams = {tmp_path / "one": (walk[0], walk[1]), tmp_path / "two": (two[0], two[1])}
    for output, (path, truth) in streams.items():
        with TraceReader(path) as trace:
            bbv.write(trace, output, None, interval=7000)
        parts = (
            [(output, truth)] if output.name == "one" else [(output.with_name(f"two.{i}"), truth[i]) for i in (0, 1)]
        )
        for part, ids in parts:
            total: Counter[int] = Counter()
            lines = part.read_text().splitlines()
            assert len(lines) == -(-len(ids) * len(LENGTHS) // 7000)
            for line in lines:
                assert re.fullmatch(r"T:\d+:\d+( :\d+:\d+)*", line)
                pairs = [tuple(map(int, pair)) for pair in re.findall(r":(\d+):(\d+)", line)]
                assert sum(count for _, count in pairs) <= 7000 + len(LENGTHS)
                total.update(dict(pairs))
            assert total == {block: len(LENGTHS) * count for block, count in Counter(ids.tolist()).items()}


def test_the_command_knows_every_format():
    assert trace_top.FORMATS == FORMATS


def test_nothing_is_overwritten_and_bad_places_are_named(walk, tmp_path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UsageError, match="there"):
        export(walk[0], "drcov", tmp_path / "there")
    with pytest.raises(UsageError, match="format"):
        export(walk[0], "xml", tmp_path / "new")
    for form in FORMATS[1:]:
        with pytest.raises(HostError):
            export(walk[0], form, tmp_path / "no" / "folder")
    assert (tmp_path / "there").read_text() == "mine"
