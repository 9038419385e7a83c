"""Debian packages: made-up .deb files, a made-up apt, and the kernel that the two give."""

from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path

import pytest
import zstandard
from images_samples import make_bzimage, make_tar, make_vmlinux

from qemu_bridge import images
from qemu_bridge.errors import ImageError
from qemu_bridge.images.fetch import Unavailable
from qemu_bridge.images.packages import fetch_package, iter_package_files, resolve_kernel_packages

PACKERS = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.ZstdCompressor().compress, "": bytes}
KERNEL = "linux-image-6.9.0-sample"


def make_deb(files: dict[str, bytes], packing: str = "xz") -> bytes:
    data = PACKERS[packing](gzip.decompress(make_tar({f"./{path}": content for path, content in files.items()})))
    members = (("debian-binary", b"2.0\n"), ("control.tar", b"odd"), (f"data.tar.{packing}".rstrip("."), data))
    deb = b"!<arch>\n"
    for name, content in members:
        deb += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        deb += content + b"\n" * (len(content) % 2)
    return deb


@pytest.fixture(autouse=True)
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that `apt-get download` and `apt-cache depends`, two small scripts, know."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("GLASSBOX_KERNEL", raising=False)
    archive, tools = tmp_path / "archive", tmp_path / "tools"
    archive.mkdir()
    tools.mkdir()
    scripts = {
        "apt-cache": f'for p; do :; done; cat "{archive}/$p.depends" 2>/dev/null || exit 100',
        "apt-get": f"""
            echo "$@" >>{archive}/log
            for p; do :; done
            [ -e "{archive}/$p.deb" ] || {{ echo "E: Unable to locate package $p" >&2; exit 100; }}
            sum=$(sha512sum "{archive}/$p.deb"); size=$(wc -c <"{archive}/$p.deb")
            case "$*" in
                *--print-uris*) echo "'http://example.invalid/$p.deb' ${{p}}_1%3a1_amd64.deb $size SHA512:${{sum%% *}}" ;;
                *) cp "{archive}/$p.deb" . ;;
            esac""",
    }
    for name, text in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    (archive / "linux-image-virtual.depends").write_text(f"linux-image-virtual\n  Depends: {KERNEL}\n")
    (archive / f"{KERNEL}.depends").write_text(f"{KERNEL}\n  Depends: kmod\n")
    return archive


def write_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "XDG_CONFIG_HOME" / "glassbox" / "images"
    folder.mkdir(parents=True)
    (folder / "deb.toml").write_text(
        '[rootfs]\npackages = ["busybox-static"]\n[kernel]\nproviders = ["debian"]\n'
        'packages = ["linux-image-cloud-amd64", "linux-image-virtual"]\nmodules = ["fat", "snd-pcm", "missing"]\n'
    )


@pytest.mark.parametrize("packing", PACKERS)
def test_wanted_files_come_out_of_each_packing(packing: str) -> None:
    deb = make_deb({"boot/vmlinuz-1": b"kernel", "usr/share/doc/x": b"text"}, packing)
    assert list(iter_package_files(deb, lambda path: path.startswith("boot/"))) == [("boot/vmlinuz-1", b"kernel")]


@pytest.mark.parametrize("damage", [b"", b"!<arch>\n", b"PK\3\4", make_deb({"a": b"b"})[:-40], make_deb({})[:100]])
def test_damaged_package_is_unavailable(damage: bytes) -> None:
    with pytest.raises(Unavailable, match="damaged"):
        list(iter_package_files(damage, lambda path: True))


def test_first_known_metapackage_names_the_kernel(apt: Path) -> None:
    assert resolve_kernel_packages(("linux-image-cloud-amd64", "linux-image-virtual")) == (KERNEL,)
    assert resolve_kernel_packages((KERNEL,)) == (KERNEL,)
    with pytest.raises(Unavailable, match="linux-image-cloud-amd64"):
        resolve_kernel_packages(("linux-image-cloud-amd64",))


@pytest.mark.parametrize("modules", ["linux-modules-7.2.1-sample", "<linux-modules-7.2.1-sample>"])
def test_a_kernel_in_parts_is_put_together(apt: Path, tmp_path: Path, modules: str) -> None:
    (apt / "linux-image-cloud-amd64.depends").write_text(
        "linux-image-cloud-amd64\n  Depends: linux-image-7.2.1-sample\n  Depends: linux-modules-cloud-amd64\n"
    )
    (apt / "linux-image-7.2.1-sample.depends").write_text(
        f"linux-image-7.2.1-sample\n |Depends: dracut\n  Depends: linux-binary-7.2.1-sample\n  Depends: {modules}\n"
    )
    names = ("linux-binary-7.2.1-sample", "linux-modules-7.2.1-sample")[: 1 if "<" in modules else 2]
    assert resolve_kernel_packages(("linux-image-cloud-amd64",)) == names
    folder = "usr/lib/modules/7.2.1-sample"
    (apt / "busybox-static.deb").write_bytes(make_deb({"bin/busybox": b"\x7fELF"}))
    (apt / f"{names[0]}.deb").write_bytes(make_deb({f"{folder}/vmlinuz": make_bzimage(make_vmlinux(), "lz4")}))
    (apt / f"{names[-1]}.deb").exists() or (apt / f"{names[-1]}.deb").write_bytes(
        make_deb({f"{folder}/kernel/fs/fat.ko": b"fat"})
    )
    write_recipe(tmp_path)
    built = images.build_image("deb")
    assert built.kernel.read_bytes() == make_vmlinux()
    assert (b"glassbox/00-fat.ko" in gzip.decompress(built.initrd.read_bytes())) == (len(names) == 2)


def test_package_is_downloaded_once_until_the_archive_has_another(apt: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    for content in (b"one", b"one", b"two"):
        (apt / "thing.deb").write_bytes(content)
        assert fetch_package("thing", tmp_path / "kept", lines.append) == content
    assert len(lines) == 2
    with pytest.raises(Unavailable, match="Unable to locate package nothing"):
        fetch_package("nothing", tmp_path / "kept", lines.append)


def test_a_package_that_cannot_be_downloaded_is_told_after_the_line_that_announced_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--print-uris*) echo "\'http://x/thing.deb\' thing.deb 2000000 SHA256:{"0" * 64}"; exit 0;; esac\n'
        "echo 'E: Failed to fetch thing.deb  Connection timed out' >&2; exit 100\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    lines: list[str] = []
    with pytest.raises(Unavailable, match="Connection timed out"):
        fetch_package("thing", tmp_path / "kept", lines.append)
    assert lines[0] == "downloading package thing (2 MB) with apt-get"
    assert lines[1].startswith("that failed: ") and "Connection timed out" in lines[1] and len(lines) == 2


def test_missing_apt_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(Unavailable, match="apt-get is not on this machine"):
        fetch_package("thing", tmp_path, lambda line: None)


@pytest.mark.parametrize("merged", [False, True], ids=["bin", "usr-bin"])
def test_image_is_made_of_packages_alone(apt: Path, tmp_path: Path, merged: bool) -> None:
    busybox = "usr/bin/busybox" if merged else "bin/busybox"
    modules = f"{'usr/' if merged else ''}lib/modules/6.9.0-sample/kernel"
    (apt / "busybox-static.deb").write_bytes(make_deb({busybox: b"\x7fELF", "usr/share/doc/readme": b"no"}))
    (apt / f"{KERNEL}.deb").write_bytes(
        make_deb(
            {
                "boot/System.map-1": b"no",
                "boot/vmlinuz-6.9.0-sample": make_bzimage(make_vmlinux(), "lz4"),
                f"{modules}/sound/snd_pcm.ko.xz": lzma.compress(b"sound"),
                f"{modules}/fs/fat.ko": b"fat",
                f"{modules}/fs/other.ko": b"no",
            }
        )
    )
    write_recipe(tmp_path)
    built = images.build_image("deb")
    assert built.kernel.read_bytes() == make_vmlinux()
    archive = gzip.decompress(built.initrd.read_bytes())
    for name in ("bin/sh", "bin/busybox", "etc/passwd", "dev/console", "init"):
        assert b"\0%s\0" % name.encode() in b"\0" + archive.replace(b"0" * 8 + name.encode(), b"\0" + name.encode())
    assert archive.index(b"glassbox/00-fat.ko") < archive.index(b"glassbox/01-snd_pcm.ko")
    assert b"sound" in archive and b"other.ko" not in archive and b"readme" not in archive


def test_what_apt_says_is_in_the_error(apt: Path, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    with pytest.raises(ImageError, match=r"Unable to locate package busybox-static.*apt-get update") as caught:
        images.build_image("deb")
    assert "\n" not in str(caught.value)
    (apt / "busybox-static.deb").write_bytes(make_deb({"bin/busybox": b"x"}))
    with pytest.raises(ImageError, match=rf"debian: .*Unable to locate package {KERNEL}.*GLASSBOX_KERNEL"):
        images.build_image("deb")
