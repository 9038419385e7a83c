"""The plugin compiles without QEMU's headers, lands in the cache, and asks QEMU for what QEMU has."""

import grp
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qemu_bridge.machine.config import find_qemu
from tcg_plugin import abi, build

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def test_a_library_is_compiled_once_for_the_same_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = build.find_library("glassbox_trace")
    written = first.stat().st_mtime_ns
    assert build.find_library("glassbox_trace") == first and first.stat().st_mtime_ns == written
    assert [path.name for path in first.parent.iterdir()] == ["glassbox_trace.so"]


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_what_is_compiled_can_be_changed_by_nobody_else_whatever_the_umask(tmp_path, monkeypatch, umask):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = os.umask(umask)
    try:
        library = build.find_library("glassbox_mining")
    finally:
        os.umask(before)
    assert not any(path.stat().st_mode & 0o022 for path in tmp_path.rglob("*"))
    written = library.stat().st_mtime_ns
    assert build.find_library("glassbox_mining") == library and library.stat().st_mtime_ns == written


def test_a_library_that_others_can_change_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = build.find_library("glassbox_mining")
    sound = library.read_bytes()
    library.write_bytes(b"theirs")
    library.chmod(0o666)
    assert build.find_library("glassbox_mining").read_bytes() == sound
    tmp_path.chmod(0o777)
    with pytest.raises(build.BuildError, match="other users can change"):
        build.find_library("glassbox_mining")


def test_no_compiler_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(build.BuildError, match="install one"):
        build.find_library("glassbox_trace")
    monkeypatch.setenv("CC", "false")
    with pytest.raises(build.BuildError, match="does not compile"):
        build.find_library("glassbox_trace")


@pytest.mark.parametrize("which", ["of the system", "of just qemu11"])
def test_every_function_the_plugin_wants_is_exported_by_qemu(which, request):
    def names(path, kind):
        text = subprocess.run(["nm", "-D", path], capture_output=True, text=True, check=True).stdout
        return set(re.findall(rf" {kind} (qemu_plugin_\w+)", text))

    if which == "of the system":
        program = Path(shutil.which("qemu-system-x86_64") or find_qemu())
    else:
        program = Path(request.getfixturevalue("qemu11")).parent / "root/usr/bin/qemu-system-x86_64"
    exported = names(program, "T")
    for library in sorted(set(abi.PLUGIN_BY_API.values())):
        wanted = names(str(build.find_library(library)), "U")
        assert len(wanted) > 20 and wanted <= exported


@pytest.mark.parametrize(
    ("members", "mode", "trusted"), [((), 0o775, True), (("other",), 0o775, False), ((), 0o777, False)]
)
def test_a_cache_that_the_users_own_group_may_change_is_trusted(tmp_path, monkeypatch, members, mode, trusted):
    # As Debian's umask 002 makes ~/.cache; the group has the user's name and nobody else in it.
    group = grp.struct_group((build.pwd.getpwuid(os.geteuid()).pw_name, "x", os.getegid(), list(members)))
    monkeypatch.setattr(build.grp, "getgrgid", lambda number: group)
    cache = tmp_path / ".cache"
    cache.mkdir()
    cache.chmod(mode)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    library = cache / "library.so"
    library.touch(0o755)
    assert build.is_trusted(library) is trusted
