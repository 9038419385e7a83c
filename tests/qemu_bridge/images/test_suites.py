"""Other suites of Debian: real apt on a small signed archive, with and without damage, and on this machine's mirror's name."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from hashlib import sha256

import pytest

from qemu_bridge.images import suites
from qemu_bridge.images.fetch import Unavailable

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("apt-get", "dpkg-deb", "gpg", "gpg-agent")),
    reason="apt or gpg is not installed",
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Who signs the archive: gpg's words, and the keyring that trusts it."""
    home = tmp_path_factory.mktemp("gpg", numbered=True)
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "archive@example.invalid", "rsa2048", "sign"], check=True)
    keyring = home / "keyring.gpg"
    subprocess.run([*gpg, "--output", str(keyring), "--export"], check=True)
    yield gpg, keyring
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def make_package(folder, name, depends=""):
    control = folder / name / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    rows = f"Package: {name}\nVersion: 1.0\nArchitecture: amd64\nMaintainer: nobody <a@b>\nDescription: sample\n"
    control.write_text(rows + (f"Depends: {depends}\n" if depends else ""))
    (folder / name / "usr").mkdir()
    (folder / name / "usr" / name).write_text(name)
    path = folder / "pool" / f"{name}_1.0_amd64.deb"
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder / name, path], check=True, capture_output=True)
    digest = sha256(path.read_bytes()).hexdigest()
    return f"{control.read_text()}Filename: pool/{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n\n"


@pytest.fixture
def archive(tmp_path, keys, monkeypatch):
    """An archive of two packages, one of which needs the other, that this machine fetches Debian from."""
    gpg, keyring = keys
    root = tmp_path / "archive"
    lists = root / "dists" / "sample" / "main" / "binary-amd64"
    lists.mkdir(parents=True)
    plain = (make_package(root, "above", "below") + make_package(root, "below")).encode()
    parts = {"Packages": plain, "Packages.gz": gzip.compress(plain)}
    (lists / "Packages.gz").write_bytes(parts["Packages.gz"])
    sums = (f" {sha256(part).hexdigest()} {len(part)} main/binary-amd64/{name}\n" for name, part in parts.items())
    release = root / "Release"
    release.write_text(
        "Origin: Debian\nLabel: Debian\nSuite: sample\nCodename: sample\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n"
        "Architectures: amd64\nComponents: main\nSHA256:\n" + "".join(sums)
    )
    signed = root / "dists" / "sample" / "InRelease"
    subprocess.run([*gpg, "--output", str(signed), "--clearsign", str(release)], check=True)
    monkeypatch.setattr(suites, "KEYRING", keyring)
    monkeypatch.setattr(suites, "find_mirror", lambda: f"copy:{root}")
    return root


def download(folder):
    lines = []
    apt = suites.read_suites(("sample",), folder, lines.append)
    return suites.download_packages(apt, "above", "sample", folder, lines.append), lines


def test_a_package_comes_with_what_it_depends_on(archive, tmp_path):
    found, lines = download(tmp_path / "apt")
    assert sorted(path.name for path in found) == ["above_1.0_amd64.deb", "below_1.0_amd64.deb"]
    assert all(path.read_bytes() == (archive / "pool" / path.name).read_bytes() for path in found)
    assert lines[0] == "reading the lists of sample" and lines[1].startswith("downloading 2 packages (0 MB)")


def test_a_package_that_is_not_what_the_list_says_is_refused(archive, tmp_path):
    path = archive / "pool" / "below_1.0_amd64.deb"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Unavailable, match=r"--download-only above: Failed to fetch .*/below_1\.0_amd64\.deb"):
        download(tmp_path / "apt")
    assert not list((tmp_path / "apt").rglob("below*.deb")), "apt 2 says that hash sums differ, apt 3 says nothing"


def test_a_list_that_is_not_what_was_signed_is_refused(archive, tmp_path):
    path = archive / "dists" / "sample" / "main" / "binary-amd64" / "Packages.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Unavailable, match=r"apt-get update"):
        download(tmp_path / "apt")
    assert not (tmp_path / "apt" / "apt.conf").exists(), "asked again, it reads the lists again"


def test_lists_that_nobody_signed_are_refused(archive, tmp_path):
    signed = archive / "dists" / "sample" / "InRelease"
    signed.write_text(signed.read_text().replace("Suite: sample", "Suite: simple"))
    with pytest.raises(Unavailable, match=r"apt-get update .*(?i:sign|sample)"):
        download(tmp_path / "apt")


def test_what_the_archive_lacks_is_named(archive, tmp_path):
    apt = suites.read_suites(("sample",), tmp_path / "apt", lambda line: None)
    with pytest.raises(Unavailable, match="Unable to locate package nothing"):
        suites.download_packages(apt, "nothing", "sample", tmp_path / "apt", lambda line: None)


def test_a_machine_without_debians_keys_says_so(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(suites, "KEYRING", tmp_path / "none")
    with pytest.raises(Unavailable, match="no keys of Debian"):
        download(tmp_path / "apt")


def test_the_mirror_is_one_that_apt_uses_here():
    try:
        mirror = suites.find_mirror()
    except Unavailable as error:
        pytest.skip(str(error))
    assert re.match(r"[a-z+]+:/", mirror) and "security" not in mirror
