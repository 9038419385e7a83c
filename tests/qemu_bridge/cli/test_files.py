"""The verbs files and extract, against the guest's own files by hash."""

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest
from support import glassbox

from qemu_bridge.memory.addresses import PAGE_SIZE

pytestmark = pytest.mark.guest

MAKE = (
    "rm -rf /tmp/tree; mkdir -p /tmp/tree/sub; cd /tmp/tree; head -c 300123 /dev/urandom >sub/random; ln -s sub/random link; "
    "dd if=/dev/zero of=holes bs=1 seek=5000000 count=1 2>/dev/null; echo middle | dd of=holes bs=1 seek=2000000 conv=notrunc 2>/dev/null; "
    "head -c 70000 /dev/urandom >gone; ln sub/random other; : >empty; sha256sum sub/random holes gone empty"
)


@pytest.fixture(scope="module")
def hashes(machine):
    """Of files of a guest in tmpfs; `gone` is then removed while a process has it open."""
    found = {}
    for line in machine.exec(MAKE).decode().splitlines():
        digest, name = line.split()
        found[name] = digest
    pid = int(machine.exec("sleep 10000 </tmp/tree/gone >/dev/null 2>&1 & echo $!; rm /tmp/tree/gone"))
    yield found
    machine.exec(f"kill {pid}; rm -r /tmp/tree")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["sub/random", "holes", "gone", "empty"])
def test_a_file_has_the_hash_that_the_guest_gives(machine, hashes, tmp_path, name):
    done = glassbox("extract", machine.name, f"file:/tmp/tree/{name}", "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "out") == hashes[name]
    assert machine.client.status().runstate == "running"


def test_a_file_of_the_system_has_the_hash_that_the_guest_gives(machine, tmp_path):
    wanted = machine.exec("sha256sum </bin/busybox").decode().split()[0]
    assert glassbox("extract", machine.name, "file:/bin/busybox", "-o", str(tmp_path / "out")).returncode == 0
    assert sha256(tmp_path / "out") == wanted


def test_a_directory_is_an_archive_with_links_and_permissions(machine, hashes, tmp_path):
    done = glassbox("extract", machine.name, "file:/tmp/tree", "-o", str(tmp_path / "tree.tar"))
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "tree.tar") as archive:
        assert archive.getmember("tmp/tree/link").linkname == "sub/random" and archive.getmember("tmp/tree/sub").isdir()
        names = {name.removeprefix("tmp/tree/") for name in archive.getnames()}
        assert {"sub/random", "other", "holes", "empty"} <= names
        for name in ("sub/random", "other", "holes", "empty"):
            content = archive.extractfile(f"tmp/tree/{name}").read()
            assert hashlib.sha256(content).hexdigest() == hashes["sub/random" if name == "other" else name]


def test_files_says_how_much_of_each_is_in_memory(machine, hashes):
    rows = {row["path"]: row for row in json.loads(glassbox("files", machine.name, "--json").stdout)}
    assert rows["/tmp/tree/gone (deleted)"]["in_memory"] == 70000
    # Two pages of five million bytes were written.
    assert (
        rows["/tmp/tree/holes"]["size"] == 5000001
        and rows["/tmp/tree/holes"]["in_memory"] == PAGE_SIZE + 5000001 % PAGE_SIZE
    )
    deleted = glassbox("files", machine.name, "--deleted")
    assert "gone (deleted)" in deleted.stdout and "holes" not in deleted.stdout


def test_what_cannot_be_extracted_is_said(machine, hashes, tmp_path):
    out = tmp_path / "out"
    unknown = glassbox("extract", machine.name, "file:/no/such", "-o", str(out))
    assert unknown.returncode == 2 and "knows no file" in unknown.stderr and not out.exists()
    link = glassbox("extract", machine.name, "file:/tmp/tree/link", "-o", str(out))
    assert link.returncode == 2 and "is a link to sub/random" in link.stderr and not out.exists()


@pytest.mark.long
@pytest.mark.parametrize("form", ["elf", "lime"])
def test_a_dump_has_the_same_files(machine, hashes, tmp_path, form):
    dump = tmp_path / "dump"
    assert glassbox("export", machine.name, "--format", form, "-o", str(dump)).returncode == 0
    for name in ("sub/random", "gone"):
        done = glassbox("extract", str(dump), f"file:/tmp/tree/{name}", "--force", "-o", str(tmp_path / "out"))
        assert done.returncode == 0, done.stderr
        assert sha256(tmp_path / "out") == hashes[name]
    glassbox("stop", str(dump))
