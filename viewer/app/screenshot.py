"""Pictures for files: of the view at any size, and of the window as it stands, panels and all."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import wgpu

from qemu_bridge.errors import GlassBoxError

from ..picture.arcs import place_arcs
from ..picture.legend import draw_overlay, find_all_labels, legend_shift, name_labels
from ..picture.offscreen import title_of
from ..picture.output import write_picture
from ..picture.size import parse_picture_size
from ..render.raymarch import PASSES, Renderer
from ..render.readback import RGBA, read_texture
from ..view.views import format_view
from .gui import Gui
from .state import ViewerState
from .surface import Surface

_USAGE = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC


class PendingScreenshot:
    """A picture for a file, of any size, drawn a pass a frame so that the window stays alive meanwhile."""

    def __init__(self, state: ViewerState, size: tuple[int, int], path: Path) -> None:
        self.path, self.size, self._camera = path, size, state.controller.camera
        scenes, with_labels = state.scenes, state.is_open("labels")
        self._renderer = Renderer(*scenes)
        self._renderer.shift = legend_shift(*size)
        labels = find_all_labels(scenes, self._renderer.pick(self._camera, size)) if with_labels else []
        self._renderer.set_overlay(
            draw_overlay(
                size,
                scenes[0],
                title_of([machine.source for machine in state.machines]),
                labels,
                camera=self._camera if with_labels else None,
                others=scenes[1:],
                names=name_labels(scenes, self._camera, size, self._renderer.shift),
                arcs=place_arcs(scenes, state.arcs, self._camera, size, self._renderer.shift),
            )
        )

    @property
    def progress(self) -> str:
        """How much of it is drawn, in words."""
        return f"screenshot: pass {self._renderer.passes} of {PASSES}"

    def step(self) -> bool:
        """Draw one pass more; write the file after the last and return True."""
        self._renderer.draw_pass(self._camera, self.size)
        if self._renderer.passes < PASSES:
            return False
        device = self._renderer.device
        target = device.create_texture(size=(*self.size, 1), format="rgba8unorm", usage=_USAGE)
        self._renderer.present(target.create_view(), self.size)
        write_picture(np.ascontiguousarray(read_texture(device, target, RGBA)[..., :3]), self.path)
        return True


class Screenshots:
    """Pictures of one window, at most one of them being drawn."""

    def __init__(self, state: ViewerState, surface: Surface, gui: Gui) -> None:
        self._state, self._surface, self._gui = state, surface, gui
        self._shot: PendingScreenshot | None = None

    def take(self, wanted: str = "") -> None:
        """Write a picture of the view, without panels, of the size that the settings say, or of ``WxH``."""
        state = self._state
        wanted = wanted or state.settings.screenshot
        path = Path(time.strftime(f"glassbox-{'-'.join(state.names)}-%Y%m%d-%H%M%S.png"))

        def begin() -> None:
            size = self._surface.size if wanted == "window" else parse_picture_size(wanted)
            self._shot = PendingScreenshot(state, size, path)
            state.notify(f"drawing {path}, {size[0]} x {size[1]}; the view is --at {format_view(state.view)}")

        state.attempt(begin)

    @property
    def is_drawing(self) -> bool:
        """Whether a picture is being drawn."""
        return self._shot is not None

    def step(self) -> bool:
        """Draw on; return whether there is more to draw."""
        shot = self._shot
        if shot is None:
            return False
        self._state.progress = shot.progress
        try:
            if shot.step():
                self._shot = None
                self._state.notify(f"wrote {shot.path}")
        except GlassBoxError as error:
            self._shot = None
            self._state.notify(str(error), is_problem=True)
        if self._shot is None:
            self._state.progress = ""
        return self._shot is not None

    def drop(self) -> None:
        """Give up what is being drawn."""
        self._shot, self._state.progress = None, ""

    def save_window(self, path: Path | None = None) -> None:
        """Write what the window shows, panels and all, as PNG to `path`, or to a file named by the time."""
        path = path or Path(time.strftime(f"glassbox-{'-'.join(self._state.names)}-window-%Y%m%d-%H%M%S.png"))
        size, renderer = self._surface.size, self._surface.renderer
        if renderer.passes == 0:
            renderer.draw_pass(self._state.controller.camera, size)
        device = renderer.device
        target = device.create_texture(size=(*size, 1), format=self._surface.format, usage=_USAGE)
        renderer.present(target.create_view(), size)
        encoder = device.create_command_encoder()
        attachment = {"view": target.create_view(), "load_op": "load", "store_op": "store"}
        render = encoder.begin_render_pass(color_attachments=[attachment])
        self._gui.render_again(render)
        render.end()
        device.queue.submit([encoder.finish()])
        pixels = read_texture(device, target, RGBA)[..., :3]
        is_bgra = self._surface.format.startswith("b")
        write_picture(np.ascontiguousarray(pixels[..., ::-1] if is_bgra else pixels), path)
        self._state.notify(f"wrote {path}; the view is --at {format_view(self._state.view)}")
