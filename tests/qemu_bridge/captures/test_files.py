"""Reading captures: what a machine says when it stands still, its capture says too; what is no capture is refused in a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_captures import READING_VERBS, ask, let_go
from support import glassbox

from qemu_bridge.captures.files import check_ram, read_manifest, read_page_map
from qemu_bridge.client import Client
from qemu_bridge.errors import GlassBoxError, UsageError
from qemu_bridge.kernel.symbols import cache
from qemu_bridge.machine import launch
from qemu_bridge.wire import capture_names as capture
from qemu_bridge.wire import connection
from qemu_bridge.wire.page_map import ENTRY
from qemu_bridge.wire.records import Grade

pytestmark = pytest.mark.guest


@pytest.mark.parametrize("words", READING_VERBS, ids=" ".join)
def test_a_capture_answers_as_the_paused_machine_did(taken, words):
    folder, _, said, _ = taken
    assert ask(str(folder), words) == said[words]


def test_its_page_map_is_the_stored_one_and_the_one_that_is_made_of_its_ram(taken):
    folder, _, _, page_map = taken
    stored = read_page_map(folder)
    assert np.array_equal(stored.entries["page_class"], page_map.entries["page_class"])
    assert stored.grade == Grade.CAPTURE and stored.owners
    with Client.connect(str(folder)) as client:
        made = client.page_map().value
    same = made.entries["page_class"] == stored.entries["page_class"]
    # A page that the file system cannot store as a hole counts as touched.
    assert same.mean() > 0.999


def test_a_picture_is_drawn_of_it(taken, tmp_path):
    done = glassbox("snap", str(taken[0]), "-o", str(tmp_path / "x.png"), "--size", "320x180")
    assert done.returncode == 0 and (tmp_path / "x.png").stat().st_size > 5000, done


# --- what is none ------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(taken, tmp_path):
    """A copy of the capture to damage, with the RAM as a hole."""
    folder = tmp_path / "damaged"
    shutil.copytree(taken[0], folder, ignore=shutil.ignore_patterns(capture.RAM))
    with open(folder / capture.RAM, "wb") as file:
        file.truncate(taken[1].ram_bytes)
    return folder


def _change(folder, **fields):
    record = json.loads((folder / capture.MANIFEST).read_text())
    (folder / capture.MANIFEST).write_text(json.dumps(record | fields))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / capture.RAM, 4096),
        lambda folder: (folder / capture.RAM).unlink(),
        lambda folder: ((folder / capture.RAM).unlink(), (folder / capture.RAM).symlink_to("/etc/passwd")),
        lambda folder: (folder / capture.MANIFEST).unlink(),
        lambda folder: (folder / capture.MANIFEST).write_text("{"),
        lambda folder: (folder / capture.MANIFEST).write_text("[" * 100_000),
        lambda folder: _change(folder, version=99),
        lambda folder: _change(folder, format="other"),
        lambda folder: _change(folder, ram_bytes=1 << 60),
        lambda folder: _change(folder, regions=[[0, 0, 1 << 60]]),
        lambda folder: _change(folder, regions=[[0, 0, 4096], [0, 4096, 4096]]),
        lambda folder: _change(folder, regions=[]),
        lambda folder: _change(folder, checksums=7),
    ],
    ids=range(13),
)
def test_a_damaged_capture_is_refused_in_one_sentence(damaged, damage):
    damage(damaged)
    done = glassbox("ps", str(damaged))
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "; " in done.stderr, done
    assert not connection.is_alive(launch.capture_name(damaged))


def test_a_damaged_page_map_is_told(damaged):
    path = damaged / capture.PAGE_MAP
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(UsageError, match="damaged"):
        read_page_map(damaged)
    assert not check_ram(damaged)


@pytest.mark.parametrize("name", [capture.MANIFEST, capture.PAGE_MAP, capture.OWNERS])
@pytest.mark.parametrize("trap", ["fifo", "zero"])
def test_a_file_that_blocks_or_never_ends_is_refused(damaged, name, trap):
    (damaged / name).unlink()
    if trap == "fifo":
        os.mkfifo(damaged / name)
    else:
        (damaged / name).symlink_to("/dev/zero")
    with pytest.raises(UsageError):
        read_page_map(damaged)


@pytest.mark.parametrize("shape", ["(1152921504606846976,)", "(1, 2)", "()", "(-1,)"])
def test_a_page_map_with_a_lying_header_is_refused(damaged, shape):
    path = damaged / capture.PAGE_MAP
    descr = np.lib.format.dtype_to_descr(ENTRY)
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + bytes(4096))
    _change(damaged, checksums=read_manifest(damaged).checksums | {capture.PAGE_MAP: zlib.crc32(path.read_bytes())})
    with pytest.raises(UsageError, match="page map"):
        read_page_map(damaged)


@pytest.mark.parametrize("trap", ["fifos", "zeros", "folder"])
def test_symbols_of_a_hostile_capture_neither_block_nor_lead_anywhere(taken, tmp_path, trap):
    folder, elsewhere = tmp_path / "hostile", tmp_path / "elsewhere"
    shutil.copytree(taken[0], folder)
    if trap == "folder":
        elsewhere.mkdir()
        for number in range(cache.KEPT_FILES + 9):
            (elsewhere / f"letter{number}").write_text("dear")
        shutil.rmtree(folder / capture.SYMBOLS)
        (folder / capture.SYMBOLS).symlink_to(elsewhere)
    for path in list((folder / capture.SYMBOLS).iterdir()) if trap != "folder" else ():
        path.unlink()
        os.mkfifo(path) if trap == "fifos" else path.symlink_to("/dev/zero")
    before = sorted(path.name for path in (folder / capture.SYMBOLS).iterdir())
    try:
        done = glassbox("ps", str(folder), "--json")
        assert done.returncode == 0 and json.loads(done.stdout)[0]["name"] == "init", done
        assert sorted(path.name for path in (folder / capture.SYMBOLS).iterdir()) == before
    finally:
        let_go(folder)


def test_there_is_no_capture_where_there_is_nothing(tmp_path):
    done = glassbox("ps", str(tmp_path / "nowhere"))
    assert done.returncode == 2 and "glassbox capture NAME" in done.stderr


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_manifest_ends_in_anything_but_an_answer_or_a_sentence(damaged, data):
    record = json.loads((damaged / capture.MANIFEST).read_text())
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
    key = data.draw(st.sampled_from(sorted(record)))
    (damaged / capture.MANIFEST).write_text(json.dumps(record | {key: data.draw(values)}))
    try:
        with contextlib.suppress(GlassBoxError):
            read_manifest(damaged)
    finally:
        (damaged / capture.MANIFEST).write_text(json.dumps(record))
