"""No path leads out of a directory: links, dots, absolute ones, magic links, and names that change between look and use."""

import os
import stat
import threading
from pathlib import Path

import pytest

from pixel_cpu.wasi import beneath
from pixel_cpu.wasi.beneath import looked_up, open_beneath, parent_of, read_link, set_times

SECRET = b"secret"


@pytest.fixture(params=["kernel", "walk"])
def top(request, tmp_path, monkeypatch):
    """A directory to stay in, with every kind of link; by the kernel and by the walk that stands in for it."""
    if request.param == "walk":
        monkeypatch.setattr(beneath, "has_openat2", lambda: False)
    elif not beneath.has_openat2():
        pytest.skip("a kernel without openat2")
    inside = tmp_path / "inside"
    (inside / "a" / "b").mkdir(parents=True)
    (inside / "a" / "b" / "deep").write_bytes(b"deep")
    (inside / "file").write_bytes(b"file")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    for name, target in {
        "to_file": "file", "to_a": "a", "a/up": "..", "a/b/back": "../../file", "a/around": "../a/b/../../file", "chain": "a/up/to_file",
        "absolute": str(tmp_path / "secret"), "root": "/", "up": "..", "up_secret": "../secret", "a/out": "../../secret",
        "a/b/far": "../../../../../../etc", "twice": "up_secret", "loop": "loop", "ping": "pong", "pong": "ping", "dangling": "nothing",
        "inside_absolute": str(inside / "file"), "a/dir_out": "../../outside", "dots": "a/../..", "slash": "to_a/",
    }.items():  # fmt: skip
        os.symlink(target, inside / name)
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


INSIDE = {
    "file": b"file", "to_file": b"file", "a/b/deep": b"deep", "to_a/b/deep": b"deep", "a/up/file": b"file", "a/b/back": b"file",
    "a/around": b"file", "chain": b"file", "a/../file": b"file", "./a/./../file": b"file", "a//b///deep": b"deep", "slash/b/deep": b"deep",
    "a/b/../../a/b/deep": b"deep", "to_a/../file": b"file", "to_a/up/to_a/up/file": b"file",
}  # fmt: skip
OUTSIDE = [
    "../secret", "a/../../secret", "up", "up/secret", "up_secret", "twice", "absolute", "root", "root/etc/passwd", "a/out", "a/b/far",
    "a/b/far/passwd", "inside_absolute", "..", "a/../..", "dots", "dots/secret", "a/dir_out/secret", "a/dir_out", "/", "/etc/passwd", "//etc/passwd",
    "./../secret", "to_a/../../secret", "a/up/../secret", "a/b/back/../../secret", "../inside/file", "loop", "loop/x", "ping", "file/../../secret",
    "", "nothing", "a/b/deep/", "file/", "to_file/", "file/.", "x\0y", "a/" * 2100 + "b", "n" * 300,
]  # fmt: skip


def _read(top: int, path: str) -> bytes:
    found = open_beneath(top, path.encode(), os.O_RDONLY)
    try:
        return os.read(found, 100)
    finally:
        os.close(found)


@pytest.mark.parametrize("path", INSIDE)
def test_paths_that_stay_inside_are_opened(top, path):
    assert _read(top, path) == INSIDE[path]


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_that_lead_out_are_refused(top, path, tmp_path):
    for flags in (os.O_RDONLY, os.O_PATH, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
        if path == "nothing" and flags & os.O_CREAT:
            continue
        with pytest.raises(OSError):  # each has its own number
            os.close(open_beneath(top, path.encode(), flags, 0o600))
    assert (tmp_path / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("path", [path for path in OUTSIDE if path not in ("", "nothing") and "\0" not in path])
def test_what_changes_names_stays_inside(top, path, tmp_path):
    """Whatever is tried at such a path, nothing outside appears, goes or changes."""

    def everything() -> dict[str, tuple[int, int]]:
        outside = [tmp_path, tmp_path / "secret", *(tmp_path / "outside").rglob("*")]
        return {str(each): (each.lstat().st_mtime_ns, each.lstat().st_nlink) for each in outside}

    before = everything()
    for act in (
        lambda parent, name: os.mkdir(name, dir_fd=parent),
        lambda parent, name: os.symlink("x", name, dir_fd=parent),
        lambda parent, name: os.rename("file", name, src_dir_fd=top, dst_dir_fd=parent),
        lambda parent, name: os.link("file", name, src_dir_fd=top, dst_dir_fd=parent, follow_symlinks=False),
        lambda parent, name: os.unlink(name, dir_fd=parent),
        lambda parent, name: os.rmdir(name, dir_fd=parent),
    ):
        try:
            with parent_of(top, path.encode()) as (parent, name):
                act(parent, name)
        except OSError:
            continue
    assert everything() == before


def test_a_link_is_not_followed_where_that_is_asked(top):
    with pytest.raises(OSError, match="symbolic links"):
        os.close(open_beneath(top, b"to_file", os.O_RDONLY | os.O_NOFOLLOW))
    with looked_up(top, b"absolute", follow=False) as handle:
        assert read_link(handle).startswith(b"/") and stat.S_ISLNK(os.fstat(handle).st_mode)
    with pytest.raises(OSError, match="Invalid"), looked_up(top, b"file", follow=False) as handle:
        read_link(handle)


def test_a_new_file_is_made_where_a_link_inside_points_and_nowhere_else(top, tmp_path):
    os.close(open_beneath(top, b"dangling", os.O_WRONLY | os.O_CREAT, 0o600))
    assert (tmp_path / "inside" / "nothing").exists()
    with pytest.raises(FileExistsError):
        open_beneath(top, b"to_file", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def test_times_are_set_of_a_link_itself(top, tmp_path):
    before = (tmp_path / "secret").stat().st_mtime_ns
    with looked_up(top, b"up_secret", follow=False) as handle:
        set_times(handle, (1, 0), (2, 5))
    assert (tmp_path / "inside" / "up_secret").lstat().st_mtime_ns == 2_000_000_005
    assert (tmp_path / "secret").stat().st_mtime_ns == before


def test_magic_links_of_proc_are_not_followed(monkeypatch):
    for is_kernel in (True, False):
        monkeypatch.setattr(beneath, "has_openat2", lambda is_kernel=is_kernel: is_kernel)
        top = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        try:
            for path in (b"self/root/etc/passwd", b"self/cwd", b"self/fd/0", b"self/exe", b"1/root"):
                with pytest.raises(OSError):  # ELOOP, EPERM or ENOENT
                    os.close(open_beneath(top, path, os.O_RDONLY))
        finally:
            os.close(top)


TRIES = 1500


def test_a_name_that_is_swapped_meanwhile_does_not_lead_out(top, tmp_path):
    """A thread swaps a directory for a link to the outside, a file for a link, and moves the directory that ``..`` leaves."""
    inside = tmp_path / "inside"
    (inside / "dir").mkdir()
    (inside / "dir" / "secret").write_bytes(b"mine")
    (inside / "plain").write_bytes(b"mine")
    os.symlink("../outside", inside / "link")
    os.symlink("../secret", inside / "link2")
    (inside / "deep" / "er").mkdir(parents=True)
    (inside / "deep" / "secret").write_bytes(b"mine")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, other in (("dir", "link"), ("plain", "link2"), ("dir", "link"), ("plain", "link2")):
                os.rename(inside / one, inside / "spare")
                os.rename(inside / other, inside / one)
                os.rename(inside / "spare", inside / other)
            os.rename(inside / "deep" / "er", inside / "er")
            os.rename(inside / "er", inside / "deep" / "er")

    thread = threading.Thread(target=swap)
    thread.start()
    mine = 0
    try:
        for _ in range(TRIES):
            for path in ("dir/secret", "plain", "link2", "link/secret", "deep/er/../secret", "deep/er/../../secret"):
                try:
                    content = _read(top, path)
                except OSError:
                    continue
                assert content == b"mine", path
                mine += 1
            try:
                with parent_of(top, b"dir/new") as (parent, name):
                    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=parent))
            except OSError:
                pass
    finally:
        stop.set()
        thread.join()
    assert mine > 0 and sorted(os.listdir(tmp_path / "outside")) == ["secret"]
    assert sorted(os.listdir(tmp_path)) == ["inside", "outside", "secret"]


def test_the_walk_leaves_nothing_open(monkeypatch, tmp_path):
    monkeypatch.setattr(beneath, "has_openat2", lambda: False)
    (tmp_path / "a" / "b").mkdir(parents=True)
    top = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/b", "a/b/c", "a/../..", "a/b/../b"):
        try:
            os.close(open_beneath(top, path.encode(), os.O_PATH))
        except OSError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(top)
    assert Path(tmp_path / "a").exists()
