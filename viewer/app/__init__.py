"""The desktop program: a window, what keys and pointer do, and the panels over the picture."""

import importlib.util
import os
import sys
from pathlib import Path


def _choose_glfw() -> None:
    # Where only Wayland is: imgui_bundle's glfw, which it makes that of the process, and the first choice of the package of
    # glfw know X11 alone. Before the first import of either.
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or not os.environ.get("WAYLAND_DISPLAY"):
        return
    package = importlib.util.find_spec("glfw")
    for folder in (package and package.submodule_search_locations) or ():
        library = Path(folder) / "wayland" / "libglfw.so"
        if library.is_file():
            os.environ.setdefault("PYGLFW_LIBRARY", str(library))


_choose_glfw()
