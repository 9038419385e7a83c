"""The desktop program: a window, what keys and pointer do, and the panels over the picture."""

from .glfw_library import choose

choose()
