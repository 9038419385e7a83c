"""Which of glfw's libraries is loaded, chosen before anything imports glfw."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def choose() -> None:
    """Where only Wayland is, have its library loaded.

    The one of imgui_bundle, which that makes glfw's of the whole process, and the first choice of the package of glfw know X11 alone.
    """
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or not os.environ.get("WAYLAND_DISPLAY"):
        return
    package = importlib.util.find_spec("glfw")
    for folder in (package and package.submodule_search_locations) or ():
        library = Path(folder) / "wayland" / "libglfw.so"
        if library.is_file():
            os.environ.setdefault("PYGLFW_LIBRARY", str(library))
