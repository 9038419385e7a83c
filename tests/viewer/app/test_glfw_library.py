"""Which of glfw's libraries is loaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from viewer.app.glfw_library import choose


@pytest.mark.parametrize(
    ("display", "wayland", "is_chosen"),
    [("", "wayland-0", True), (":0", "wayland-0", False), (":0", "", False), ("", "", False)],
)
def test_waylands_is_loaded_where_only_wayland_is(monkeypatch, display, wayland, is_chosen):
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("WAYLAND_DISPLAY", wayland)
    # Set and taken away, so that what `choose` sets goes with the test.
    monkeypatch.setenv("PYGLFW_LIBRARY", "")
    monkeypatch.delenv("PYGLFW_LIBRARY")
    choose()
    chosen = os.environ.get("PYGLFW_LIBRARY", "")
    assert bool(chosen) == is_chosen
    assert not is_chosen or Path(chosen).parts[-2:] == ("wayland", "libglfw.so")


def test_a_library_that_the_user_named_stays(monkeypatch):
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("PYGLFW_LIBRARY", "/mine/libglfw.so")
    choose()
    assert os.environ["PYGLFW_LIBRARY"] == "/mine/libglfw.so"
