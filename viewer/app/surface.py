"""What is drawn on: a window of the desktop or any other canvas of rendercanvas, and the renderer that fills it."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from qemu_bridge.errors import GraphicsError

from ..render.raymarch import Renderer
from ..render.scene import Scene


def open_canvas(title: str, size: tuple[int, int]) -> tuple[Any, Any]:
    """(canvas, event loop) of a glfw window; `GraphicsError` where there is no display."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise GraphicsError("there is no display for a window; use glassbox snap to write a picture instead")
    reason = _start_glfw()
    if reason and sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise GraphicsError(
            f"no window can be opened on the Wayland display {os.environ['WAYLAND_DISPLAY']} ({reason}); start Xwayland and set "
            "DISPLAY, or use glassbox snap to write a picture instead"
        )
    if reason:
        raise GraphicsError(
            f"the display does not answer ({reason}); check DISPLAY, or use glassbox snap to write a picture"
        )
    from .clipboard import survive_x_errors
    from .glfw_canvas import GlfwCanvas
    from .loop import EventLoop

    survive_x_errors()
    loop = EventLoop()
    GlfwCanvas.select_loop(loop)
    return GlfwCanvas(size=size, title=title, update_mode="ondemand", max_fps=60), loop


def _start_glfw() -> str:
    """Why glfw does not start; empty where it does."""
    try:
        # By name: rendercanvas.auto picks a terminal backend where SSH variables are set.
        import glfw
    except ImportError as error:
        return str(error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", glfw.GLFWError)
        if glfw.init():
            return ""
        reason: Any = glfw.get_error()[1]
    return reason.decode(errors="replace") if reason else "glfw does not start"


class Surface:
    """A canvas with the renderer of one scene or several.

    Attributes:
        canvas: of rendercanvas.
        format: of its textures.
        renderer: draws the scenes; another one after `attach`.
    """

    def __init__(self, canvas: Any, *scenes: Scene) -> None:  # noqa: ANN401  # of rendercanvas, which has no types
        self.canvas = canvas
        self._context = canvas.get_wgpu_context()
        # A window's is bgra8unorm, that of a picture sent elsewhere rgba8unorm; colours are encoded by the shader.
        self.format = str(self._context.get_preferred_format(scenes[0].device.adapter)).removesuffix("-srgb")
        self.attach(*scenes)

    def attach(self, *scenes: Scene) -> None:
        """Draw `scenes` from here on, on their device."""
        self._context.configure(device=scenes[0].device, format=self.format)
        self.renderer = Renderer(*scenes, target_format=self.format)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in physical pixels."""
        width, height = self.canvas.get_physical_size()
        return width, height

    @property
    def pixel_ratio(self) -> float:
        """Physical pixels to a logical one."""
        return float(self.canvas.get_pixel_ratio())

    def present(self, size: tuple[int, int]) -> None:
        """Put the renderer's picture on the canvas; `wgpu.GPUError` where the device is lost."""
        # Asking a lost device for the surface's texture makes the driver's library end the process; this only raises.
        self.renderer.device.create_command_encoder().finish()
        self.renderer.present(self._context.get_current_texture().create_view(), size)
