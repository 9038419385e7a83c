"""The folder of caches is the user's, whatever the environment says."""

from pathlib import Path

import pytest

from qemu_bridge.host.folders import cache_folder


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_without_an_absolute_path_it_is_in_the_home_folder(monkeypatch, value):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder("images") == Path.home() / ".cache" / "glassbox" / "images"


def test_an_absolute_path_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("symbols") == tmp_path / "glassbox" / "symbols"
