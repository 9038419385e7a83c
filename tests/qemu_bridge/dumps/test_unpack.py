"""Every format gives the RAM that is in it; what is damaged gives a sentence; the cache has a bound and leaves nothing."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from dump_files import EVERY, PAGE, RAM
from open_captures import end
from support import glassbox

from qemu_bridge.dumps import unpack as unpacking
from qemu_bridge.dumps.unpack import trim, unpack
from qemu_bridge.errors import GlassBoxError, HostError, UsageError
from qemu_bridge.machine import launch
from qemu_bridge.memory.addresses import parse_layout


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "glassbox" / "dumps"


def write(folder: Path, content: bytes, name: str = "dump") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def alike(one: bytes, other: bytes) -> int:
    """How many bytes two pages have in common at their front."""
    return next((at for at, (here, there) in enumerate(zip(one, other, strict=True)) if here != there), len(one))


def read(found) -> dict[int, bytes]:
    """The RAM that a dump of `RAM` gave, as `RAM` has it."""
    content = Path(found.ram).read_bytes()
    layout = parse_layout(found.layout, len(content))
    return {start: content[layout.to_offset(start) :][: len(part)] for start, part in RAM.items()}


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_compressed_dumps_and_images_are_unpacked(pack, tmp_path):
    found = unpack(write(tmp_path, pack(EVERY["lime"]), "one"))
    assert read(found) == RAM and found.format.startswith("a LiME dump in ")
    raw = bytes(3 * PAGE) + RAM[0x100000]
    found = unpack(write(tmp_path, pack(raw), "two"))
    assert Path(found.ram).read_bytes() == raw and not found.layout


def test_bytes_without_a_header_are_read_where_they_are(tmp_path, cache):
    path = write(tmp_path, RAM[0x1000])
    assert unpack(path).ram == str(path) and not cache.exists()


@pytest.mark.parametrize("name", EVERY)
def test_what_is_cut_short_is_read_as_far_as_it_goes_and_says_what_is_missing(name, tmp_path):
    whole = EVERY[name]
    told = 0
    for number, length in enumerate(range(len(whole) - 1, 0, -max(len(whole) // 23, 1))):
        try:
            found = unpack(write(tmp_path, whole[:length], f"{number}"))
        except UsageError as error:
            assert re.search(r"cut short|damaged|holds no RAM", str(error)) or length < 64
            continue
        size = os.stat(found.ram).st_size
        if not found.layout:
            continue
        layout = parse_layout(found.layout, size)
        content = Path(found.ram).read_bytes()
        got = lost = 0
        for start, part in RAM.items():
            for at in range(0, len(part), PAGE):
                try:
                    page = content[layout.to_offset(start + at) :][:PAGE]
                except GlassBoxError:
                    lost += 1
                    continue
                # What is there is right up to where the file ends, and zero behind.
                same = alike(page, part[at : at + PAGE])
                assert not page[same:].strip(b"\0")
                got, lost = got + (same == PAGE), lost + (same != PAGE)
        assert not lost or found.missing
        told += bool(found.missing)
    # Of records in any order a header may be the one that is missing.
    assert told > 1 or name == "flattened"


@pytest.mark.parametrize("name", EVERY)
def test_damaged_dumps_give_ram_or_a_sentence(name, tmp_path):
    chance = random.Random(name)
    for number in range(60):
        content = bytearray(EVERY[name])
        for _ in range(chance.randint(1, 4)):
            # Most of the structure is at the front.
            at = chance.randrange(min(len(content), chance.choice((64, 600, 9000, len(content)))))
            content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        try:
            found = unpack(write(tmp_path, bytes(content), f"{number}"))
        except (UsageError, HostError) as error:
            assert "\n" not in str(error) and len(str(error)) < 600
        else:
            # Sparse: what a header claims takes no room.
            assert os.stat(found.ram).st_blocks * 512 <= 4 * len(content) + (1 << 20)


def test_a_dump_is_unpacked_once_and_again_when_it_changes(tmp_path, cache):
    path = write(tmp_path, EVERY["elf"])
    told = []
    first = unpack(path, lambda done, whole: told.append((done, whole)))
    assert (
        told[-2:] == [(sum(map(len, RAM.values())), 0x119000), (0x119000, 0x119000)] and len(list(cache.iterdir())) == 1
    )
    os.utime(first.ram, (1, 1))
    assert unpack(path) == first and os.stat(first.ram).st_mtime == 1
    write(tmp_path, EVERY["lime"])
    assert unpack(path).ram != first.ram
    # What was half written, or lost its RAM, is made again.
    os.truncate(unpack(path).ram, 5)
    assert read(unpack(path)) == RAM


def test_the_cache_has_a_bound_and_keeps_what_is_in_use(tmp_path, cache, monkeypatch):
    found = [unpack(write(tmp_path, EVERY[name], name)) for name in ("elf", "lime", "avml")]
    for age, each in zip((3, 2, 1), found, strict=True):
        os.utime(Path(each.ram).parent, (1000 - age, 1000 - age))
    lock = unpacking.hold(Path(found[0].ram).parent)
    (cache / "draft-old").mkdir()
    size = os.stat(found[0].ram).st_blocks * 512
    trim(cache, 2 * size + size // 2)
    assert [os.path.exists(each.ram) for each in found] == [True, False, True] and not (cache / "draft-old").exists()
    os.close(lock)
    trim(cache, 0)
    assert not list(cache.iterdir())


def test_an_interrupted_or_full_disk_leaves_nothing(tmp_path, cache, monkeypatch):
    path = write(tmp_path, EVERY["elf"])

    def interrupted(done, whole):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(path, interrupted)
    assert not list(cache.iterdir())
    program = (
        "import resource, signal, sys; from pathlib import Path; from qemu_bridge.dumps.unpack import unpack\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "unpack(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert "HostError: cannot unpack" in done.stderr and "make room in" in done.stderr and not list(cache.iterdir())


@pytest.mark.parametrize("name", EVERY)
def test_every_format_gives_the_ram_that_is_in_it(name, tmp_path):
    found = unpack(write(tmp_path, EVERY[name]))
    assert read(found) == RAM and not found.missing
    assert found.layout == "0x0-0x114000,0x100000000-0x100005000"


def test_a_raw_image_that_ends_within_a_page_is_read_up_to_there(tmp_path):
    found = unpack(write(tmp_path, RAM[0x100000][:-100]))
    assert found.ram == str(tmp_path / "dump") and "its last 3996 bytes are no page" in found.missing[0]


def test_a_folder_a_fifo_and_nothing_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "none", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match="give a file with RAM in it"):
            unpack(path)


@pytest.mark.guest
def test_ranges_glued_together_are_found_by_the_kernel_in_them(machine, tmp_path):
    # LiME's raw mode: RAM as /proc/iomem has it, one range behind the other, of which the first ends within a page.
    told = machine.exec("grep 'System RAM' /proc/iomem").decode()
    ranges = [[int(word, 16) for word in line.split()[0].split("-")] for line in told.splitlines()]
    path = tmp_path / "raw.lime"
    with machine.paused():
        path.write_bytes(b"".join(machine.client.ram.read(first, last + 1 - first) for first, last in ranges))
        processes = json.loads(glassbox("ps", machine.name, "--json").stdout)
    assert ranges[0][0] == PAGE and (ranges[0][1] + 1) % PAGE and path.stat().st_size % PAGE
    try:
        assert json.loads(glassbox("ps", str(path), "--json").stdout) == processes
    finally:
        end(launch.dump_name(path))


@pytest.mark.long
@pytest.mark.guest
@pytest.mark.skipif(shutil.which("makedumpfile") is None, reason="no makedumpfile on this machine")
def test_makedumpfile_knows_what_is_written_and_what_it_makes_of_it_is_read(machine, tmp_path):
    core = tmp_path / "core"
    assert glassbox("export", machine.name, "-o", str(core)).returncode == 0
    whole = Path(unpack(core).ram).read_bytes()
    for words in (("-c",), ("-l",), ("-E",), ("-c", "-F"), ("-l", "-d", "31")):
        made = tmp_path / "made"
        with open(made, "wb") as pipe:
            command = ["makedumpfile", *words, "--message-level", "0", str(core)]
            command += [] if "-F" in words else [str(made), "-f"]
            subprocess.run(command, stdout=pipe if "-F" in words else subprocess.DEVNULL, check=True)
        found = unpack(made)
        content = Path(found.ram).read_bytes()
        assert bool(found.missing) == ("-d" in words) and len(content) == len(whole)
        for at in range(0, len(whole), PAGE):
            page = content[at : at + PAGE]
            assert page == whole[at : at + PAGE] or (found.missing and not page.strip(b"\0"))


@pytest.mark.guest
@pytest.mark.parametrize(
    "options",
    [{}, *(pytest.param({"format": f"kdump-{kind}zlib"}, marks=pytest.mark.long) for kind in ("", "raw-"))],
    ids=lambda options: options.get("format", "elf"),
)
def test_what_qemu_dumps_of_a_guest_is_its_ram_and_answers_as_the_machine(machine, options, tmp_path, monkeypatch):
    ram = machine.client.ram
    with machine.paused():
        machine.client.qmp("dump-guest-memory", {"paging": False, "protocol": f"file:{tmp_path / 'core'}", **options})
        processes = json.loads(glassbox("ps", machine.name, "--json").stdout)
        areas = glassbox("maps", machine.name, "1").stdout
        found = unpack(tmp_path / "core")
        assert not found.missing and parse_layout(found.layout, ram.size) == ram.layout
        assert Path(found.ram).read_bytes() == ram.view.tobytes()
    monkeypatch.chdir(tmp_path)
    try:
        answer = json.loads(glassbox("ps", "core", "--json").stdout)
        assert answer == processes
        assert glassbox("maps", "./core", "1").stdout == areas
    finally:
        end(launch.dump_name(tmp_path / "core"))
