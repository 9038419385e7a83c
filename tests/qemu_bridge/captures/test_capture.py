"""Captures: what a machine says when it stands still, its capture says too; what is no capture is refused in a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import booted, glassbox, wait_until

from qemu_bridge.captures import files as capture
from qemu_bridge.captures.files import check_ram, read_manifest, read_page_map
from qemu_bridge.captures.write import Hooks, write_capture
from qemu_bridge.client import Client
from qemu_bridge.errors import GlassBoxError, HostError, MachineError, UsageError
from qemu_bridge.kernel.symbols import cache
from qemu_bridge.machine import launch
from qemu_bridge.wire import connection
from qemu_bridge.wire.page_map import ENTRY
from qemu_bridge.wire.records import Grade

pytestmark = pytest.mark.guest

READING_VERBS = (
    ("ps",), ("maps", "1"), ("modules",), ("sym", "init_task"), ("overlay",), ("overlay", "mounts"),
    ("overlay", "open-files"), ("whose", "init_task"), ("where", "pid:1"), ("targets", "pid:"),
    ("peek", "0x1000000", "64"), ("find", "Linux version", "--limit", "3"),
)  # fmt: skip


def _let_go(folder):
    _end(launch.capture_name(folder))


def _end(name):
    if connection.is_alive(name):
        with contextlib.suppress(MachineError), Client.connect(name) as client:
            client.stop()


@pytest.fixture(scope="module")
def taken(machine, tmp_path_factory):
    """A capture of the session's guest, and what every verb said of the guest at that moment."""
    folder = tmp_path_factory.mktemp("captures") / "taken"
    with machine.paused():
        manifest = machine.client.capture(str(folder))
        said = {words: _ask(machine.name, words) for words in READING_VERBS}
        page_map = machine.client.page_map().value
    yield folder, manifest, said, page_map
    _let_go(folder)


def _ask(name, words):
    verb, *rest = words
    done = glassbox(verb, name, *rest, "--json")
    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    # The moment has another name; everything else is the same.
    for key in ("grade", "generation"):
        if isinstance(answer, dict):
            answer.pop(key, None)
    return answer


@pytest.mark.parametrize("words", READING_VERBS, ids=" ".join)
def test_a_capture_answers_as_the_paused_machine_did(taken, words):
    folder, _, said, _ = taken
    assert _ask(str(folder), words) == said[words]


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


def test_ram_is_the_machines_byte_for_byte_and_holes_stay_holes(taken, machine):
    folder, manifest, _, _ = taken
    assert check_ram(folder)
    ram = folder / capture.RAM
    assert ram.stat().st_size == manifest.ram_bytes == machine.ram.size
    assert ram.stat().st_blocks <= 1.01 * os.stat(machine.client.connection.ram_path).st_blocks


def test_a_picture_is_drawn_of_it(taken, tmp_path):
    done = glassbox("snap", str(taken[0]), "-o", str(tmp_path / "x.png"), "--size", "320x180")
    assert done.returncode == 0 and (tmp_path / "x.png").stat().st_size > 5000, done


def test_what_needs_a_machine_says_that_a_capture_does_not_run(taken):
    for words in (("pause",), ("resume",), ("exec", "--", "ls"), ("qmp", "stop")):
        verb, *rest = words
        done = glassbox(verb, str(taken[0]), *rest)
        assert done.returncode == 1 and "does not run" in done.stderr and done.stderr.count("\n") == 1, done


def test_many_who_open_it_at_once_share_one_daemon(taken):
    from concurrent.futures import ThreadPoolExecutor

    folder = taken[0]
    _let_go(folder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: launch.open_capture(folder), range(4)))
    assert len({each.daemon_pid for each in found}) == 1


@pytest.mark.long
def test_its_daemon_ends_when_nobody_has_looked_for_a_while(taken):
    folder = taken[0]
    name = launch.capture_name(folder)
    with Client.connect(str(folder)) as client:
        client.ps()
        time.sleep(25)
        assert connection.is_alive(name)
    deadline = time.monotonic() + 40
    while connection.is_alive(name) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not connection.is_alive(name)


def test_the_guest_runs_on_and_stood_still_for_a_moment_only(machine, tmp_path):
    manifest = machine.client.capture(str(tmp_path / "one"))
    assert machine.client.status().runstate == "running"
    assert 0 < manifest.paused_s < 5 and manifest.grade == "paused"
    assert machine.client.capture(str(tmp_path / "two"), live=True).paused_s == 0


def test_a_capture_of_a_capture_is_one(taken, tmp_path):
    copy = tmp_path / "copy"
    assert glassbox("capture", str(taken[0]), "-o", str(copy)).returncode == 0
    assert read_manifest(copy).checksums[capture.RAM] == taken[1].checksums[capture.RAM]


def test_a_612_kernel_and_a_guest_that_has_not_booted_can_be_captured(machine_612, image, tmp_path):
    machine_612.client.capture(str(tmp_path / "new"))
    assert read_manifest(tmp_path / "new").release.startswith("6.12")
    launch.launch(launch.MachineConfig(name="unbooted", kernel=image.kernel, qemu_args=("-S",)))
    with Client.connect("unbooted") as client:
        try:
            manifest = client.capture(str(tmp_path / "early"))
        finally:
            client.stop()
    assert manifest.release == "" and manifest.skipped
    done = glassbox("ps", str(tmp_path / "early"))
    _let_go(tmp_path / "early")
    assert done.returncode == 1 and "no running Linux kernel" in done.stderr


def test_nothing_is_overwritten_unless_asked_and_only_captures_are(machine, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter").write_text("dear")
    for options in ([], ["--force"]):
        done = glassbox("capture", machine.name, "-o", str(folder), *options)
        assert done.returncode == 2, done
    assert (folder / "letter").read_text() == "dear"
    assert glassbox("capture", machine.name, "-o", str(tmp_path / "new")).returncode == 0
    assert glassbox("capture", machine.name, "-o", str(tmp_path / "new")).returncode == 2
    assert glassbox("capture", machine.name, "-o", str(tmp_path / "new"), "--force").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new"]


def test_what_was_replaced_is_not_answered_from_what_was_there_before(machine, tmp_path):
    folder = tmp_path / "again"
    assert glassbox("capture", machine.name, "-o", str(folder)).returncode == 0
    assert "54321" not in glassbox("ps", str(folder)).stdout
    first = launch.capture_name(folder)
    with Client.connect(machine.name) as client:
        client.exec("sleep 54321 >/dev/null 2>&1 &")
    try:
        assert glassbox("capture", machine.name, "-o", str(folder), "--force").returncode == 0
    finally:
        with Client.connect(machine.name) as client:
            client.exec("pkill -f 54321")
    # Well within the time for which the daemon of the first waits for more questions.
    assert "54321" in glassbox("ps", str(folder)).stdout
    _let_go(folder)
    _end(first)
    (folder / "ram").unlink()
    refused = glassbox("ps", str(folder))
    assert refused.returncode == 2 and "no RAM" in refused.stderr


def test_a_guest_runs_on_when_its_capture_is_ended(machine, tmp_path):
    command = [sys.executable, "-m", "qemu_bridge.cli", "capture", machine.name, "-o", str(tmp_path / "half")]
    ending = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Client.connect(machine.name) as client:
        wait_until(lambda: client.status().runstate == "paused" or ending.poll() is not None, 30)
        ending.send_signal(signal.SIGTERM)
        _, talk = ending.communicate(timeout=60)
        assert "Traceback" not in talk and client.status().runstate == "running"
    assert ending.returncode == 0 or list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(machine, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    hooks = Hooks(lambda: contextlib.nullcontext(False), lambda done, total: None, lambda path: None)
    with pytest.raises(HostError, match="make room"):
        write_capture(machine.client, tmp_path / "big", hooks)
    assert list(tmp_path.iterdir()) == [] and machine.client.status().runstate == "running"


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
        _let_go(folder)


def test_there_is_no_capture_where_there_is_nothing(tmp_path):
    done = glassbox("ps", str(tmp_path / "nowhere"))
    assert done.returncode == 2 and "glassbox capture NAME" in done.stderr


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_an_attached_machine_can_be_captured(taken, tmp_path):
    image = tmp_path / "image.ram"
    shutil.copy(taken[0] / capture.RAM, image)
    assert glassbox("attach", "mine", "--ram", str(image)).returncode == 0
    try:
        assert glassbox("capture", "mine", "-o", str(tmp_path / "again")).returncode == 0
    finally:
        glassbox("stop", "mine")
    assert read_manifest(tmp_path / "again").release == taken[1].release


def test_compare_says_what_a_program_changed(image, tmp_path):
    with booted("changing", image) as guest:
        assert glassbox("capture", "changing", "-o", str(tmp_path / "before")).returncode == 0
        guest.exec("dd if=/dev/urandom of=/tmp/news bs=64k count=16; (sleep 1000 </dev/null >/dev/null 2>&1 &)")
        done = glassbox("compare", str(tmp_path / "before"), "changing", "--json", "--pages")
        where = glassbox("where", "changing", "file:/tmp/news", "--json")
    _let_go(tmp_path / "before")
    assert (tmp_path / "before" / capture.RAM).stat().st_blocks * 512 < 0.9 * (128 << 20)
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert any(owner["name"] == "/tmp/news" for owner in found["owners_appeared"])
    assert any(owner["name"] == "sleep" and owner["kind"] == "process" for owner in found["owners_appeared"])
    # Random bytes: every page of the new file differs.
    differing = {page for run in found["ranges"] for page in range(run["first"] >> 12, (run["last"] >> 12) + 1)}
    news = json.loads(where.stdout)["ranges"]
    pages = {page for row in news for page in range(row["ram_offset"] >> 12, (row["ram_offset"] + row["size"]) >> 12)}
    assert len(pages) == 256 and pages <= differing
