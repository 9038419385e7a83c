"""A live picture for somebody elsewhere: commands in, pictures and messages out (`qemu_bridge.wire.live_records`).

``python -m viewer live NAME`` reads commands from standard input, a line of JSON each, and writes framed pictures and messages to
standard output. It ends when its input does, so it is never there when nobody looks. While something moves pictures are smaller and
drawn once; at rest they are refined, and then nothing is drawn until the guest's memory or the one who looks changes something.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt
import wgpu
from PIL import Image

from qemu_bridge.errors import GlassBoxError, UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress
from qemu_bridge.wire import live_records as wire
from qemu_bridge.wire.event_records import ViewerEvent
from qemu_bridge.wire.json_text import encode_json
from qemu_bridge.wire.view_text import MAX_DISTANCE, MIN_DISTANCE

from ..picture.legend import find_labels, legend_classes
from ..picture.legend_entries import GLOW, glow_bytes, legend_entries, scale_ticks
from ..picture.offscreen import choose_camera, load_scene, show_glow
from ..render.raymarch import PASSES, Renderer
from ..render.readback import RGBA, read_texture
from ..sources.machine import MachineSource
from ..sources.source import Source
from ..sources.targets import find_pages
from ..sources.watcher import MemoryWatcher
from ..view.labels import describe_pages
from ..view.look import Mode, value_ramp
from ..view.palette import GLOW_COLOUR, Rgb, colour_of
from ..view.views import View, format_view, parse_view
from .camera_controller import CameraController
from .navigation import framing_pages
from .pick import pick_at
from .refresh_policy import RefreshPolicy
from .resolution_scaler import ResolutionScaler

if TYPE_CHECKING:
    from qemu_bridge.client import Client

_BYTES_A_STEP = 4 << 20
_SENT_AT = (1, 4, 12, PASSES)
"""After how many passes a picture at rest is sent."""
_REST_S = 0.25
_FADE_PASSES = 6
_QUALITY, _MOVING_QUALITY = 88, 70

Send = Callable[[bytes, bytes], None]
"""Takes the kind of a message and its bytes."""


class LivePicture:
    """One picture of one source for one who looks."""

    def __init__(self, source: Source, send: Send) -> None:
        """Load all of `source`; `GraphicsError` without an adapter."""
        self._source, self._send = source, send
        self._commands: deque[wire.AnyCommand | ViewerEvent | None] = deque()
        self._wake = threading.Event()
        self._scene = load_scene(source)
        self._renderer = Renderer(self._scene)
        self._watcher = MemoryWatcher(source, self._wake.set)
        self._camera = CameraController(choose_camera(self._renderer))
        self._scaler, self._policy = ResolutionScaler(), RefreshPolicy()
        self._size: tuple[int, int] | None = None
        self._target: wgpu.GPUTexture | None = None
        self._glow = ""
        self._pin: int | None = None
        self._is_waiting = self._was_reduced = False
        self._fading = 0
        self._due = 0.0
        self._frame_s = 0.0
        self._last_frame = self._last_motion = time.monotonic()
        self._said: dict[type, bytes] = {}
        self._session: int | None = None
        self._told, self._problem = 0, ""
        self._reported: tuple[str, str, int] | None = None
        self._is_ended = False

    def put(self, command: wire.AnyCommand | ViewerEvent | None) -> None:
        """Take a command, or what another program tells viewers, from any thread; None ends the picture."""
        self._commands.append(command)
        self._wake.set()

    def run(self) -> None:
        """Draw until there is None among the commands, or the machine ends, which raises `MachineGoneError`."""
        self._say(wire.Ready(self._source.title))
        self._watcher.start()
        if self._source.connect is not None:
            threading.Thread(target=self._join, args=(self._source.connect,), name="viewer-events", daemon=True).start()
        try:
            while self._obey():
                if self._watcher.error is not None:
                    raise self._watcher.error
                self._follow_memory()
                pause_s = self._step()
                if pause_s is None or pause_s > 0:
                    self._wake.wait(pause_s)
                self._wake.clear()
        finally:
            self._is_ended = True
            self._watcher.stop()

    # --- what other programs ask of viewers --------------------------------------------------------------------

    def _join(self, connect: Callable[[], Client]) -> None:
        with contextlib.suppress(GlassBoxError, OSError), connect() as client:
            self._session = client.viewer_join(os.getpid())
            for event in client.events(self._session, lambda: self._is_ended):
                if isinstance(event, ViewerEvent) and self._session in event.sessions:
                    self.put(event)

    def _do_told(self, event: ViewerEvent) -> None:
        self._told, self._problem = event.number, ""
        try:
            if event.view:
                self._look(event.view)
            elif event.place is not None:
                self._select(event.place, event.fly)
            elif event.target is not None:
                self._show(event.target, event.fly)
        except GlassBoxError as error:
            self._problem = str(error)
            raise

    def _report(self) -> None:
        """Tell the daemon what is shown, if that is news."""
        shown = (format_view(self._view), self._problem, self._told)
        if self._session is None or self._source.connect is None or shown == self._reported:
            return
        self._reported = shown
        with contextlib.suppress(GlassBoxError), self._source.connect() as client:
            client.viewer_report(self._session, *shown)

    # --- commands --------------------------------------------------------------------------------------------

    def _obey(self) -> bool:
        """Do what was asked; False once that is to end."""
        while self._commands:
            command = self._commands.popleft()
            if command is None:
                return False
            if not isinstance(command, wire.Drawn):
                self._policy.reset()
            try:
                if isinstance(command, ViewerEvent):
                    self._do_told(command)
                else:
                    self._do(command)
            except GlassBoxError as error:
                self._say(wire.Problem(str(error)))
        return True

    def _do(self, command: wire.AnyCommand) -> None:
        match command:
            case wire.Drawn():
                self._is_waiting = False
            case wire.Resize(width, height):
                self._resize(width, height)
            case wire.Drag(right, down, is_pan):
                self._camera.drag(right, down, is_pan)
            case wire.Wheel(steps, x, y):
                self._camera.wheel(steps, self._camera.camera.at(2 * x - 1, 1 - 2 * y, self._aspect))
            case wire.Hold(key, is_down):
                self._camera.hold(key, is_down)
            case wire.Pick(x, y):
                self._pick(x, y)
            case wire.Select(offset):
                self._select(offset, fly=True)
            case wire.Show(target, fly):
                self._show(target, fly)
            case wire.Look(text):
                self._look(text)
            case wire.Home():
                self._camera.fly_to(self._camera.home)

    @property
    def _aspect(self) -> float:
        return 1.6 if self._size is None else self._size[0] / self._size[1]

    def _resize(self, width: int, height: int) -> None:
        is_home, before = self._camera.goal == self._camera.home, min(self._aspect, 1.0)
        self._size, self._target = (width, height), None
        self._renderer.restart()
        self._say(wire.Words(()))
        self._camera.home = self._camera.home.framing(*self._scene.content_box(), self._aspect)
        # What was seen across a wide picture is seen across a narrow one too.
        farther = self._camera.goal.distance * before / min(self._aspect, 1.0)
        goal = replace(self._camera.goal, distance=min(max(farther, MIN_DISTANCE), MAX_DISTANCE))
        self._camera.aim(self._camera.home if is_home else goal)
        self._camera.settle()

    def _pick(self, x: float, y: float) -> None:
        if self._size is None:
            return
        width, height = self._size
        pixel = (min(int(x * width), width - 1), min(int(y * height), height - 1))
        found = pick_at(self._renderer, [self._source.ram], self._camera.camera, self._size, pixel)
        if found is None:
            self._select(None, fly=False)
            self._say(wire.Picked())
            return
        place = (found.page << PAGE_SHIFT) + found.offset
        self._select(place, fly=False)
        physical = None if found.physical is None else PhysicalAddress(found.physical)
        what = describe_pages(found.page_class, found.owner) + (" and others" if found.is_shared else "")
        self._say(wire.Picked(place, physical, what, found.content.hex()))

    def _select(self, offset: int | None, fly: bool) -> None:
        if offset is not None and offset >= len(self._source.ram.view):
            raise UsageError(f"RAM has no byte {offset:#x}; it ends at {len(self._source.ram.view):#x}")
        self._pin = offset
        pages = np.zeros(0, np.int64) if offset is None else np.array([offset // PAGE_SIZE])
        self._scene.select(pages)
        if fly and len(pages):
            self._fly_to(pages)
        self._renderer.restart()

    def _show(self, target: str, fly: bool) -> None:
        pages = find_pages(self._source, target, self._scene.page_count) if target else np.zeros(0, np.int64)
        self._scene.highlight(pages, title=target)
        self._glow = target
        if target and not len(pages):
            self._say(wire.Problem(f"{target} has no memory now; nothing stands out"))
        elif fly and len(pages):
            self._fly_to(pages)
        self._renderer.restart()

    def _fly_to(self, pages: npt.NDArray[np.int64]) -> None:
        self._camera.fly_to(framing_pages(self._scene, self._camera.goal, pages, self._aspect))

    def _look(self, text: str) -> None:
        view = parse_view(text, View(self._camera.goal))
        self._scene.set_look(view.look)
        if view.camera != self._camera.goal:
            self._camera.fly_to(view.camera)
        if view.pin is not None:
            self._select(view.pin, fly=False)
        if view.glow != self._glow:
            show_glow(self._scene, self._source, view.glow)
            self._glow = view.glow
        self._renderer.restart()

    # --- drawing ---------------------------------------------------------------------------------------------

    def _follow_memory(self) -> None:
        pages, written = self._watcher.take_changes(_BYTES_A_STEP)
        touched, now_s = self._watcher.touched(pages), time.monotonic()
        self._scene.clear_pages(pages[~touched])
        self._scene.update_pages(self._source.ram.view, pages[touched], written[touched], now_s)
        page_map = self._watcher.take_page_map()
        if page_map is not None:
            self._scene.set_page_map(page_map)
        self._scene.advance(self._source.ram.view, now_s)
        if len(self._scene.take_stale()):
            self._fading = _FADE_PASSES

    def _step(self) -> float | None:
        """Draw the next pass, if one is wanted and the last picture was shown; seconds to wait then, None for what comes."""
        if self._size is None or self._is_waiting:
            return None
        now = time.monotonic()
        elapsed_s, self._last_frame = min(now - self._last_frame, 0.1), now
        if self._camera.is_moving:
            self._last_motion = now
            self._camera.update(elapsed_s)
            self._draw_moving(self._size)
            self._scaler.add(self._renderer.stopwatch.take_s() or time.monotonic() - now)
            return 0
        if (rest_s := self._last_motion + _REST_S - now) > 0 and self._renderer.passes:
            return rest_s
        if self._renderer.passes and self._was_reduced:
            self._renderer.restart()
        if self._renderer.passes < PASSES:
            self._refine(self._size)
        elif self._fading:
            if (wait_s := self._due - now) > 0:
                return wait_s
            self._fade(self._size)
        else:
            return None if self._scene.is_settled else self._policy.pause_s(self._frame_s)
        return 0

    def _draw_moving(self, size: tuple[int, int]) -> None:
        self._was_reduced = True
        self._renderer.restart()
        self._renderer.draw_pass(self._camera.camera, self._scaler.size(*size), soft=False)
        self._say(wire.Words(()))
        self._send_picture(size, _MOVING_QUALITY)

    def _refine(self, size: tuple[int, int]) -> None:
        self._was_reduced, begun_s = False, time.monotonic()
        self._renderer.draw_pass(self._camera.camera, size)
        self._fading = 0
        passes = self._renderer.passes
        if passes in _SENT_AT:
            self._send_picture(size, _QUALITY)
        if passes == _SENT_AT[1]:
            self._say_words(size)
        self._frame_s = time.monotonic() - begun_s

    def _fade(self, size: tuple[int, int]) -> None:
        """What the guest wrote comes over the picture, pass by pass."""
        begun_s = time.monotonic()
        self._fading -= 1
        self._renderer.draw_pass(self._camera.camera, size, min_weight=1 / 4)
        self._send_picture(size, _QUALITY)
        if not self._fading:
            self._say_words(size)
        self._frame_s = time.monotonic() - begun_s
        self._due = time.monotonic() + self._policy.pause_s(self._frame_s)

    def _send_picture(self, size: tuple[int, int], quality: int) -> None:
        device = self._scene.device
        if self._target is None:
            usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
            self._target = device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
        self._renderer.present(self._target.create_view(), size)
        pixels = np.ascontiguousarray(read_texture(device, self._target, RGBA)[..., :3])
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        self._is_waiting = True
        self._send(wire.PICTURE, file.getvalue())

    # --- messages --------------------------------------------------------------------------------------------

    def _say(self, message: wire.AnyMessage) -> None:
        text = encode_json(message)
        if isinstance(message, wire.Words | wire.Legend):
            if self._said.get(type(message)) == text:
                return
            self._said[type(message)] = text
        self._send(wire.MESSAGE, text)

    def _say_words(self, size: tuple[int, int]) -> None:
        """Names of what is seen, and what colours mean; the daemon hears where the camera came to rest."""
        self._report()
        self._say(self._legend())
        labels = find_labels(self._scene, self._renderer.pick_pages(self._camera.camera, size), beside_legend=False)
        width, height = size
        words = [
            wire.Word(label.text, _hex(label.colour), label.x / width, label.y / height, label.size) for label in labels
        ]
        self._say(wire.Words(tuple(words)))

    def _legend(self) -> wire.Legend:
        scene, look = self._scene, self._scene.look
        if look.mode is Mode.CLASS:
            counts = {} if scene.page_map is None else scene.page_map.counts()
            rows = [
                wire.Colour(each.label, _hex(colour_of(each, look.palette)), counts[each] * PAGE_SIZE)
                for each in legend_classes(scene)
            ]
        elif entries := legend_entries(scene):
            rows = [wire.Colour(entry.label, _hex(entry.colour), entry.size_bytes) for entry in entries]
        else:
            ramp = value_ramp(look)
            rows = [
                wire.Colour(label, _hex(tuple(ramp[value].tolist())), None)
                for value, label in scale_ticks(look.mode, look.transfer)
            ]
        if (glowing := glow_bytes(scene)) is not None:
            rows.append(wire.Colour(GLOW, _hex(GLOW_COLOUR), glowing))
        title, pages = scene.highlighted
        return wire.Legend(look.mode.label, tuple(rows), format_view(self._view), title, pages * PAGE_SIZE)

    @property
    def _view(self) -> View:
        """The view at the end of the present camera move."""
        return View(self._camera.goal, look=self._scene.look, pin=self._pin, glow=self._glow)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def show_live(name: str) -> None:
    """Draw machine `name` for whoever holds the other ends of standard input and output, until that ends."""
    output = os.fdopen(os.dup(1), "wb")
    # What a library prints goes to the log, not between the pictures.
    os.dup2(2, 1)

    def send(kind: bytes, content: bytes) -> None:
        output.write(wire.FRAME.pack(kind, len(content)) + content)
        output.flush()

    try:
        with MachineSource(name) as source:
            picture = LivePicture(source, send)
            threading.Thread(target=_read_commands, args=(sys.stdin.buffer, picture), daemon=True).start()
            picture.run()
    except BrokenPipeError:
        pass  # nobody looks any more
    except GlassBoxError as error:
        send(wire.MESSAGE, encode_json(wire.Problem(str(error), is_end=True)))


def _read_commands(file: BinaryIO, picture: LivePicture) -> None:
    for line in file:
        try:
            picture.put(msgspec.json.decode(line, type=wire.AnyCommand))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # who relays them has checked them
    picture.put(None)
