"""Guest images: recipes, mirrors and the cache, with a recipe of a few hundred bytes and mirrors on this machine."""

from __future__ import annotations

import fcntl
import http.server
import io
import os
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from hashlib import sha512
from pathlib import Path

import pytest

from qemu_bridge import images
from qemu_bridge.errors import ImageError, UsageError
from qemu_bridge.images import fetch as fetching
from qemu_bridge.images.fetch import Unavailable, fetch, order_mirrors
from qemu_bridge.images.initramfs import read_tar
from qemu_bridge.images.recipe import RemoteFile

from ...images_samples import make_bzimage, make_tar, make_vmlinux

ROOTFS_NAME = "tiny-rootfs.tar.gz"
# As they are outside the tests, for the one test of the real root file system.
REAL_MIRROR, REAL_CACHE = os.environ.get("GLASSBOX_IMAGE_MIRROR", ""), images.cache_folder()


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("GLASSBOX_IMAGE_MIRROR", raising=False)
    monkeypatch.delenv("GLASSBOX_KERNEL", raising=False)


@pytest.fixture
def rootfs() -> bytes:
    return make_tar({"./bin/busybox": b"#!busybox", "./etc/motd": b"hello\n"}, links={"./bin/sh": "/bin/busybox"})


@pytest.fixture
def mirror(tmp_path: Path, rootfs: bytes) -> Path:
    folder = tmp_path / "mirror"
    (folder / "netboot").mkdir(parents=True)
    (folder / ROOTFS_NAME).write_bytes(rootfs)
    (folder / "netboot" / "vmlinuz").write_bytes(make_bzimage(make_vmlinux(), "zstd"))
    return folder


class Server(http.server.ThreadingHTTPServer):
    """A mirror over HTTP that remembers what it was asked for and can cut its answers short."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.keep = folder, list[str](), 1.0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alpine/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.server.folder / self.path.removeprefix("/alpine/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: int(len(content) * self.server.keep)])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(mirror: Path) -> Iterator[Server]:
    with Server(mirror) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def write_recipe(tmp_path: Path, rootfs: bytes, mirrors: list[str], name: str = "tiny", head: str = "") -> None:
    folder = tmp_path / "config" / "glassbox" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(
        f'description = "tiny"\nmirrors = {mirrors!r}\ncommand_line = "console=ttyS0  quiet"\n{head}\n'
        f'[rootfs]\nfile = "{ROOTFS_NAME}"\nsha512 = "{sha512(rootfs).hexdigest()}"\n'
        '[kernel]\nproviders = ["alpine"]\nfile = "netboot/vmlinuz"\n'
    )


def leftovers(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != "lock"]


def test_the_recipes_that_ship_are_listed_and_load() -> None:
    assert {"alpine", "alpine-612", "debian-busybox"} <= set(images.iter_recipes())
    alpine, debian = images.load_recipe("alpine"), images.load_recipe("debian-busybox")
    assert alpine.rootfs is not None and alpine.rootfs.sha512 is not None and len(alpine.mirrors) >= 2
    assert alpine.fallback == "debian-busybox" and debian.rootfs is None and debian.mirrors == ()
    assert alpine.init == debian.init and alpine.init.startswith(b"#!/bin/sh\n")
    newer = images.load_recipe("alpine-612")
    assert newer.rootfs == alpine.rootfs and newer.kernel_packages != alpine.kernel_packages


@pytest.mark.parametrize("name", ["nothing", "../alpine", "", "a/b"])
def test_unknown_image_is_the_callers_mistake(name: str) -> None:
    for function in (images.load_recipe, images.find_image, images.build_image):
        with pytest.raises(UsageError, match="alpine"):
            function(name)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("x = ", "Invalid value"),
        ("mirrors = 3\n[rootfs]\npackages = ['a']", "mirrors must be a list"),
        ("[rootfs]", "either a file or packages"),
        ("[rootfs]\nfile = 'a.tar'", "needs its sha512"),
        ("[rootfs]\nfile = 'a.tar'\nsha512 = 'abc'", "128 lower-case"),
        ("[rootfs]\nfile = '../a.tar'", "below the mirror"),
        ("[rootfs]\npackages = ['a']\n[kernel]\nproviders = ['ftp']", "not ftp"),
    ],
)
def test_recipe_that_is_not_right_is_named_with_its_mistake(tmp_path: Path, text: str, reason: str) -> None:
    folder = tmp_path / "config" / "glassbox" / "images"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text(text)
    with pytest.raises(ImageError, match=reason) as caught:
        images.load_recipe("bad")
    assert "bad.toml" in str(caught.value)


def test_image_is_built_from_a_folder_and_found_again(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    assert images.find_image("tiny") is None
    lines: list[str] = []
    built = images.build_image("tiny", progress=lines.append)
    assert images.find_image("tiny") == built
    assert built.kernel.read_bytes() == make_vmlinux() and built.bzimage is not None
    assert built.bzimage.read_bytes() == (mirror / "netboot" / "vmlinuz").read_bytes()
    assert built.kernel_release == "6.9.0-sample" and built.command_line == "console=ttyS0 quiet"
    assert any(ROOTFS_NAME in line for line in lines)


def test_built_image_is_found_quickly_and_needs_no_mirror(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    built = images.build_image("tiny")
    mirror.rename(tmp_path / "gone")
    lines: list[str] = []
    started = time.perf_counter()
    assert images.build_image("tiny", progress=lines.append) == built
    assert time.perf_counter() - started < 0.05
    assert lines == []


def test_two_builds_of_the_same_recipe_are_equal_to_the_byte(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    first = images.build_image("tiny")
    initrd = first.initrd.read_bytes()
    os.environ["XDG_CACHE_HOME"] += "-2"
    second = images.build_image("tiny")
    assert second.initrd.read_bytes() == initrd and second.image_id == first.image_id
    assert second.initrd != first.initrd


def test_another_init_or_recipe_gives_another_image(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    first = images.build_image("tiny")
    (tmp_path / "config" / "glassbox" / "images" / "init").write_bytes(b"#!/bin/sh\n# other\n")
    assert images.find_image("tiny") is None
    assert images.build_image("tiny").image_id != first.image_id


def test_old_builds_leave_the_cache(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    for number in range(5):
        write_recipe(tmp_path, rootfs, [mirror.as_uri()], head=f"# {number}")
        images.build_image("tiny")
    assert len(list((images.cache_folder() / "built").iterdir())) == 3
    assert images.find_image("tiny") is not None


def test_damaged_build_is_not_found_and_is_built_anew(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    built = images.build_image("tiny")
    built.initrd.write_bytes(b"short")
    assert images.find_image("tiny") is None
    assert images.build_image("tiny").initrd.stat().st_size > 5
    (built.initrd.parent / "image.json").write_text("[]")
    assert images.find_image("tiny") is None


def test_wrong_checksum_is_refused_and_the_next_mirror_serves(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / ROOTFS_NAME).write_bytes(rootfs[:-1] + b"?")
    write_recipe(tmp_path, rootfs, [bad.as_uri(), mirror.as_uri()])
    assert images.build_image("tiny").initrd.is_file()
    write_recipe(tmp_path, rootfs, [bad.as_uri()], name="worse")
    for path in (images.cache_folder() / "downloads").iterdir():
        path.unlink()
    with pytest.raises(ImageError, match="wrong checksum") as caught:
        images.build_image("worse")
    assert bad.as_uri() in str(caught.value) and "GLASSBOX_IMAGE_MIRROR" in str(caught.value)
    assert "worse" not in " ".join(os.listdir(images.cache_folder() / "built"))


def test_truncated_answer_is_refused_and_nothing_half_written_stays(
    tmp_path: Path, server: Server, rootfs: bytes
) -> None:
    write_recipe(tmp_path, rootfs, [server.url])
    server.keep = 0.5
    with pytest.raises(ImageError, match=r"truncated, \d+ of \d+ bytes"):
        images.build_image("tiny")
    assert leftovers(tmp_path) == []


def test_each_mirror_is_named_with_its_reason(tmp_path: Path, server: Server, rootfs: bytes) -> None:
    (server.folder / ROOTFS_NAME).unlink()
    closed = "http://127.0.0.1:9/"
    nowhere = (tmp_path / "nowhere").as_uri()
    write_recipe(tmp_path, rootfs, [server.url, closed, nowhere, "gopher://example.invalid/"])
    with pytest.raises(ImageError) as caught:
        images.build_image("tiny")
    message = str(caught.value)
    for part in (f"{server.url}{ROOTFS_NAME}: HTTP 404", f"{closed}{ROOTFS_NAME}: Connection refused"):
        assert part in message
    assert f"{nowhere}/{ROOTFS_NAME}: No such file" in message and "starts with https://" in message
    assert "\n" not in message and leftovers(tmp_path) == []


def test_silent_mirror_is_given_up(tmp_path: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        write_recipe(tmp_path, rootfs, [f"http://127.0.0.1:{listener.getsockname()[1]}/"])
        with pytest.raises(ImageError, match="no answer within"):
            images.build_image("tiny")


def test_file_larger_than_the_limit_is_refused(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SIZE_LIMIT", 16)
    with pytest.raises(Unavailable, match="more than"):
        fetch(RemoteFile(ROOTFS_NAME, "0" * 128), (mirror.as_uri(),), tmp_path / "d", lambda line: None)


def test_environment_mirror_goes_first_as_address_or_path(
    tmp_path: Path, server: Server, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (str(mirror), mirror.as_uri(), mirror.as_uri() + "/"):
        monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", value)
        assert order_mirrors(("https://a.invalid/x",)) == (mirror.as_uri() + "/", "https://a.invalid/x/")
    write_recipe(tmp_path, rootfs, [server.url])
    images.build_image("tiny")
    assert server.asked == []
    monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", "~/mirror")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert order_mirrors(()) == (mirror.as_uri() + "/",)


def test_http_mirror_serves_checked_files_but_no_unchecked_ones(
    tmp_path: Path, server: Server, mirror: Path, rootfs: bytes
) -> None:
    write_recipe(tmp_path, rootfs, [server.url, mirror.as_uri()])
    images.build_image("tiny")
    assert server.asked == [f"/alpine/{ROOTFS_NAME}"]


def test_kept_download_is_checked_again(tmp_path: Path, server: Server, rootfs: bytes) -> None:
    file, folder = RemoteFile(ROOTFS_NAME, sha512(rootfs).hexdigest()), tmp_path / "d"
    for _ in range(2):
        assert fetch(file, (server.url,), folder, lambda line: None) == rootfs
    assert len(server.asked) == 1
    next(folder.iterdir()).write_bytes(b"rotten")
    assert fetch(file, (server.url,), folder, lambda line: None) == rootfs
    assert len(server.asked) == 2


def test_missing_root_file_system_falls_back_and_says_so_in_one_line(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = (tmp_path / "nowhere").as_uri()
    write_recipe(tmp_path, rootfs, [nowhere], head='fallback = "other"')
    write_recipe(tmp_path, rootfs, [mirror.as_uri()], name="other")
    lines: list[str] = []
    assert images.build_image_or_fallback("tiny", progress=lines.append).name == "other"
    assert sum("using other instead" in line and nowhere in line for line in lines) == 1
    lines.clear()
    assert images.build_image_or_fallback("tiny", progress=lines.append).name == "other"
    assert len(lines) == 1 and "last hour" in lines[0]
    monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", str(mirror))
    assert images.build_image_or_fallback("tiny").name == "tiny"
    with pytest.raises(ImageError, match="take image other"):
        monkeypatch.delenv("GLASSBOX_IMAGE_MIRROR")
        write_recipe(tmp_path, rootfs, [nowhere], head='fallback = "other" # again')
        for path in (images.cache_folder() / "downloads").iterdir():
            path.unlink()
        images.build_image("tiny")


def test_tampered_root_file_system_is_no_reason_to_fall_back(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    (mirror / ROOTFS_NAME).write_bytes(b"something else")
    write_recipe(tmp_path, rootfs, [mirror.as_uri()], head='fallback = "other"')
    with pytest.raises(ImageError, match="wrong checksum"):
        images.build_image_or_fallback("tiny")


def test_chosen_kernel_wins_over_the_providers(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    ordinary = images.build_image("tiny")
    own = tmp_path / "own-vmlinux"
    own.write_bytes(make_vmlinux(release="7.0.0-own"))
    monkeypatch.setenv("GLASSBOX_KERNEL", str(own))
    assert images.find_image("tiny") is None
    built = images.build_image("tiny")
    assert built.kernel_release == "7.0.0-own" and built.bzimage is None
    own.write_bytes(b"nonsense")
    with pytest.raises(ImageError, match="neither a bzImage nor"):
        images.build_image("tiny")
    monkeypatch.setenv("GLASSBOX_KERNEL", str(tmp_path / "none"))
    with pytest.raises(ImageError, match="No such file"):
        images.build_image("tiny")
    monkeypatch.delenv("GLASSBOX_KERNEL")
    assert images.find_image("tiny") == ordinary


def test_kernel_without_types_is_passed_over_with_its_reason(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    (mirror / "netboot" / "vmlinuz").write_bytes(make_bzimage(make_vmlinux(types=False), "gzip"))
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    with pytest.raises(ImageError, match=r"alpine: vmlinuz carries no BTF.*GLASSBOX_KERNEL") as caught:
        images.build_image("tiny")
    assert "\n" not in str(caught.value)


def test_tar_that_is_no_root_file_system_is_an_image_error(tmp_path: Path, mirror: Path) -> None:
    for rootfs, reason in ((b"not a tar", "no usable tar"), (make_tar({"a": b""}), "neither bin/sh nor busybox")):
        (mirror / ROOTFS_NAME).write_bytes(rootfs)
        write_recipe(tmp_path, rootfs, [mirror.as_uri()])
        with pytest.raises(ImageError, match=reason):
            images.build_image("tiny")


def test_build_waits_for_another_and_sweeps_what_a_killed_one_left(tmp_path: Path, mirror: Path, rootfs: bytes) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    folder = images.cache_folder()
    (folder / "built" / ".part-dead").mkdir(parents=True)
    (folder / "downloads").mkdir()
    (folder / "downloads" / ".part-dead").write_bytes(b"half")
    waiting = threading.Event()
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(
            target=images.build_image, args=("tiny",), kwargs={"progress": lambda _: waiting.set()}
        )
        thread.start()
        assert waiting.wait(10) and images.find_image("tiny") is None
        fcntl.flock(lock, fcntl.LOCK_UN)
    thread.join(10)
    assert images.find_image("tiny") is not None
    assert not list(folder.rglob(".part-*"))


def test_cache_that_cannot_be_written_is_an_image_error(
    tmp_path: Path, mirror: Path, rootfs: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path, rootfs, [mirror.as_uri()])
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ImageError, match="cannot be stored"):
        images.build_image("tiny")


def test_alpine_as_published_becomes_a_tree_with_busybox(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = images.load_recipe("alpine")
    assert recipe.rootfs is not None
    monkeypatch.setenv("GLASSBOX_IMAGE_MIRROR", REAL_MIRROR)
    try:
        content = fetch(recipe.rootfs, (), REAL_CACHE / "downloads", lambda line: None)
    except Unavailable:
        pytest.skip("no Alpine mirror on this machine")
    tree = read_tar(content, recipe.rootfs.name)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {member.name.removeprefix("./") for member in tar} - {"."} <= {*tree}
    assert tree["bin/busybox"].content.startswith(b"\x7fELF") and tree["bin/sh"].content == b"/bin/busybox"
