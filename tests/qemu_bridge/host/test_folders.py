"""Folders are the user's, whatever the environment says."""

import os
import stat
from pathlib import Path

import pytest

from qemu_bridge.host.folders import cache_folder, runtime_folder, runtime_path


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_without_an_absolute_path_it_is_in_the_home_folder(monkeypatch, value):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder("images") == Path.home() / ".cache" / "glassbox" / "images"


def test_an_absolute_path_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("symbols") == tmp_path / "glassbox" / "symbols"


def test_where_programs_find_each_other_is_made_when_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert runtime_path() == tmp_path / "run/glassbox" and not (tmp_path / "run").exists()
    assert runtime_folder() == runtime_path() and stat.S_IMODE(runtime_path().stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert runtime_path() == Path(f"/tmp/glassbox-{os.getuid()}")
