"""Libraries of loops: what is written is what is read, and broken files are refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from learn_samples import record_checksum
from x86_loops import run

import pixel_cpu as px
from pixel_cpu.errors import UsageError
from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.text import write
from pixel_cpu.learn.loop_library import read_library, read_loop, write_library, write_loop
from pixel_cpu.learn.mine import find_loops
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.analysis.naming import Naming

STATE = {"rsi": 1024, "rdx": 1027}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    naming = Naming(symbol=lambda address: "crc 32/…", process=lambda root: "7 sum")
    with mine(record_checksum(folder), workers=1) as mined:
        return next(find_loops(mined, naming))


def test_a_loop_that_is_read_is_the_one_that_was_written(found, tmp_path):
    (written,) = write_library(tmp_path / "library", [found, replace(found, lifted=None)])
    (loop,) = read_library(tmp_path / "library")
    assert loop.name == written.name == "crc_32"
    assert write(loop.lifted.module) == write(found.lifted.module)
    for name in ("machine_loop", "lines", "live_in", "live_out", "exits", "assumed"):
        assert getattr(loop.lifted, name) == getattr(found.lifted, name), name
    assert replace(loop.found, lifted=None) == replace(found, lifted=None)
    assert run(loop.lifted, [STATE], bytes(2048))[0] == run(found.lifted, [STATE], bytes(2048))[0]


def test_a_loop_is_a_program_of_its_own(found, tmp_path):
    (written,) = write_library(tmp_path, [found])
    assert px.load(tmp_path / f"{written.name}.ir").kernel("batch").name == "batch"


def test_another_loop_of_the_same_name_gets_a_number_and_the_same_loop_is_replaced(found, tmp_path):
    code = found.lifted.machine_loop
    other = replace(found, share=0.01, lifted=lift(replace(code, instructions=code.instructions | {1: b"\x90"})))
    moved = replace(found, share=0.5)
    names = [next(write_library(tmp_path, [each])).name for each in (found, other, moved)]
    assert names == ["crc_32", "crc_32-2", "crc_32"]
    write_loop(tmp_path, replace(read_loop(tmp_path, "crc_32-2"), facts={"verdict": "proved"}))
    loops = read_library(tmp_path)
    assert [(loop.found.share, dict(loop.facts)) for loop in loops] == [(0.5, {}), (0.01, {"verdict": "proved"})]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2),
        ("head", "zz"),
        ("instructions", {"0x10": "90" * 16}),
        ("instructions", []),
        ("live_in", ["rax"]),
        ("live_out", ["nothing"]),
        ("exits", [{}]),
        ("facts", 3),
        ("share", "much"),
        ("assumed", None),
    ],
)
def test_a_broken_file_is_refused(found, tmp_path, key, value):
    (loop,) = write_library(tmp_path, [found])
    path = tmp_path / f"{loop.name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UsageError, match=r"crc_32\.json"):
        read_library(tmp_path)


def test_what_is_no_library_is_refused(tmp_path):
    with pytest.raises(UsageError, match="glassbox learn"):
        read_library(tmp_path / "none")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "link.json").symlink_to("/dev/zero")
    for name in ("deep", "link", "../x", "missing"):
        with pytest.raises(UsageError):
            read_loop(tmp_path, name)
