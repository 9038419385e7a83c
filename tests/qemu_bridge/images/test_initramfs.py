"""The initramfs: what goes in as a tar comes out as cpio, read back here and by a program that nobody here wrote."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images_samples import make_member, make_tar

from qemu_bridge.images import initramfs
from qemu_bridge.images.initramfs import Tree, compress, read_tar


def sample_tree() -> Tree:
    members = (
        make_member("./bin/again", tarfile.LNKTYPE, "./bin/tool"),
        make_member("./dev/null", tarfile.CHRTYPE, device=(1, 3)),
        make_member("./run/pipe", tarfile.FIFOTYPE),
        make_member("./empty/folder", tarfile.DIRTYPE),
    )
    files = {"./bin/tool": b"tool" * 1000, "./etc/odd name\n\xe4": b"x", "./etc/nothing": b""}
    return read_tar(make_tar(files, {"./bin/sh": "/bin/tool"}, members), "sample.tar.gz")


def read_cpio(archive: bytes) -> list[tuple[str, list[int], bytes]]:
    """Name, the thirteen numbers and content of each entry before the trailer, by the format's own description."""
    entries, stream = [], io.BytesIO(archive)
    while True:
        assert stream.tell() % 4 == 0 and stream.read(6) == b"070701"
        numbers = [int(stream.read(8), 16) for _ in range(13)]
        name = stream.read(numbers[11])
        stream.read(-stream.tell() % 4)
        content = stream.read(numbers[6])
        stream.read(-stream.tell() % 4)
        assert name.endswith(b"\0")
        if name == b"TRAILER!!!\0":
            assert stream.read() == b""
            return entries
        entries.append((name[:-1].decode(), numbers, content))


def test_tar_comes_back_from_the_cpio_archive() -> None:
    entries = {name: (numbers, content) for name, numbers, content in read_cpio(sample_tree().to_cpio())}
    assert entries["bin/tool"][1] == b"tool" * 1000 and entries["bin/tool"][0][1] == stat.S_IFREG | 0o755
    assert entries["bin/sh"] == (entries["bin/sh"][0], b"/bin/tool") and stat.S_ISLNK(entries["bin/sh"][0][1])
    assert entries["dev/null"][0][9:11] == [1, 3] and stat.S_ISCHR(entries["dev/null"][0][1])
    assert stat.S_ISFIFO(entries["run/pipe"][0][1]) and stat.S_ISDIR(entries["empty"][0][1])
    assert entries["etc/odd name\n\xe4"][1] == b"x" and entries["etc/nothing"][1] == b""
    assert all(numbers[5] == 0 for numbers, _ in entries.values())


def test_hard_link_shares_the_inode_and_carries_no_second_content() -> None:
    entries = {name: (numbers, content) for name, numbers, content in read_cpio(sample_tree().to_cpio())}
    tool, again = entries["bin/tool"], entries["bin/again"]
    assert tool[0][0] == again[0][0] and tool[0][4] == again[0][4] == 2
    assert again[1] == b"" and len({numbers[0] for numbers, _ in entries.values()}) == len(entries) - 1


def test_parent_comes_before_what_it_holds() -> None:
    seen = {""}
    for name, _, _ in read_cpio(sample_tree().to_cpio()):
        assert name.rpartition("/")[0] in seen
        seen.add(name)


def test_archive_is_the_same_each_time() -> None:
    assert compress(sample_tree().to_cpio()) == compress(sample_tree().to_cpio())


def test_another_program_unpacks_the_same_files(tmp_path: Path) -> None:
    commands = (["bsdtar", "-xf", "-"], ["cpio", "-id", "--quiet"], ["busybox", "cpio", "-id"])
    command = next((command for command in commands if shutil.which(command[0])), None)
    if command is None:
        pytest.skip("neither bsdtar nor cpio nor busybox is installed")
    tree = Tree()
    for path in ("bin/a", "bin/b", "etc/deep/er/c"):
        tree.add_file(path, b"content of " + path.encode(), 0o750)
    tree.link("bin/hard", "bin/a")
    tree.add("bin/soft", stat.S_IFLNK | 0o777, b"a")
    subprocess.run(command, input=tree.to_cpio(), cwd=tmp_path, capture_output=True, check=True)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == set(tree)
    assert (tmp_path / "etc/deep/er/c").read_bytes() == b"content of etc/deep/er/c"
    assert stat.S_IMODE((tmp_path / "bin/b").stat().st_mode) & 0o700 == 0o700
    assert (tmp_path / "bin/hard").samefile(tmp_path / "bin/a") and (tmp_path / "bin/hard").stat().st_nlink == 2
    assert (tmp_path / "bin/soft").readlink() == Path("a")


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "a/..", "TRAILER!!!", "x" * 5000])
def test_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"leads out|would end"):
        read_tar(make_tar({name: b"x"}), "bad.tar.gz")


@pytest.mark.parametrize(
    "members, reason",
    [
        ((make_member("a", tarfile.LNKTYPE, "/etc/shadow"),), "leads out"),
        ((make_member("a", tarfile.LNKTYPE, "later"),), "not an earlier file"),
        ((make_member("a", tarfile.CHRTYPE, device=(1 << 20, 0)),), "does not exist"),
        ((make_member("a", tarfile.REGTYPE), make_member("a/b", tarfile.REGTYPE)), "below a plain file"),
        ((make_member("a", b"Z"),), "has a type"),
    ],
)
def test_hostile_member_is_refused(members: tuple[tarfile.TarInfo, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_tar(make_tar({}, extra=members), "bad.tar.gz")


def test_too_large_a_tree_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initramfs, "TREE_LIMIT", 1000)
    for files in ({"a": bytes(1001)}, {"a": bytes(600), "b": bytes(600)}):
        with pytest.raises(ValueError, match=r"larger than|more than"):
            read_tar(make_tar(files), "big.tar.gz")
    monkeypatch.setattr(initramfs, "ENTRY_LIMIT", 3)
    with pytest.raises(ValueError, match="more than"):
        read_tar(make_tar({str(number): b"" for number in range(4)}), "many.tar.gz")


@given(st.integers(0, 400), st.binary(min_size=1, max_size=40))
def test_damaged_tar_ends_in_a_tree_or_a_value_error(place: int, noise: bytes) -> None:
    plain = bytearray(gzip.decompress(make_tar({"a/b": b"content", "c": b"d" * 600})))
    plain[place : place + len(noise)] = noise
    packed = bytearray(gzip.compress(bytes(plain)))
    for archive, name in ((plain, "x.tar"), (packed[: -len(noise)], "x.tar.gz")):
        try:
            read_tar(bytes(archive), name)
        except ValueError:
            pass


def test_later_file_replaces_an_earlier_one_and_root_is_left_out() -> None:
    tree = Tree()
    tree.add("./", stat.S_IFDIR | 0o755)
    tree.add_file("init", b"one")
    tree.add_file("./init", b"two", 0o755)
    assert list(tree) == ["init"] and tree["init"].content == b"two"
    assert struct.unpack_from("6s", tree.to_cpio())[0] == b"070701"
