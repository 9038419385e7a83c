"""A live picture for somebody elsewhere: commands in, pictures and messages out (`qemu_bridge.wire.live_records`).

``python -m viewer live NAME...`` reads commands from standard input, a line of JSON each, and writes framed pictures and messages to
standard output. It ends when its input does, so it is never there when nobody looks. While something moves pictures are smaller and
drawn once; at rest they are refined, and then nothing is drawn until the memory of a guest or the one who looks changes something.

Several machines stand side by side, one of them active. One that ends turns grey until it returns; one alone ends the picture.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt
import wgpu
from PIL import Image

from gpu_device.device import request_device
from qemu_bridge.errors import GlassBoxError, UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress
from qemu_bridge.wire import live_records as wire
from qemu_bridge.wire.event_records import ViewerEvent
from qemu_bridge.wire.json_text import encode_json
from qemu_bridge.wire.view_text import MAX_DISTANCE, MIN_DISTANCE

from ..picture.offscreen import choose_camera, title_of
from ..render.equal_pages import EqualPages
from ..render.raymarch import PASSES, Renderer
from ..render.readback import RGBA, read_texture
from ..render.scene import Scene, content_around, stand_side_by_side
from ..sources.flows import FlowWatch
from ..sources.machine import open_machines
from ..sources.source import Source
from ..sources.targets import find_pages
from ..view.labels import describe_pages
from ..view.views import View, format_view, parse_view
from .camera_controller import CameraController
from .live_machine import LiveMachine
from .live_messages import legend_of, several_of, words_of
from .navigation import framing_found
from .pick import pick_at
from .refresh_policy import RefreshPolicy
from .resolution_scaler import ResolutionScaler

_SENT_AT = (1, 4, 12, PASSES)
"""After how many passes a picture at rest is sent."""
_REST_S = 0.25
_FADE_PASSES = 6
_ARC_STEP_S = 0.2
"""How often arcs between machines are told again while they fade."""
_QUALITY, _MOVING_QUALITY = 88, 70

Send = Callable[[bytes, bytes], None]
"""Takes the kind of a message and its bytes."""
Action = Callable[[], None]


class LivePicture:
    """One picture of one source, or of several side by side, for one who looks."""

    def __init__(self, sources: Sequence[Source], send: Send) -> None:
        """Load all of `sources`; `GraphicsError` without an adapter."""
        self._send = send
        self._actions: deque[Action | None] = deque()
        self._wake = threading.Event()
        device = request_device()
        self._machines = [LiveMachine(source, device, self._call_soon) for source in sources]
        self._active = 0
        self._stand()
        self._camera = CameraController(choose_camera(self._renderer))
        self._flows = FlowWatch([machine.name for machine in self._machines], self._wake.set)
        self._equal, self._is_comparing = EqualPages(), False
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

    def put(self, command: wire.AnyCommand | None) -> None:
        """Take a command, from any thread; None ends the picture."""
        self._call_soon(None if command is None else partial(self._do, command))

    def _call_soon(self, action: Action | None) -> None:
        self._actions.append(action)
        self._wake.set()

    def run(self) -> None:
        """Draw until there is None among the commands, or the one machine ends, which raises `MachineGoneError`."""
        names = tuple(machine.name for machine in self._machines)
        self._say(wire.Ready(title_of([machine.source for machine in self._machines]), names))
        for machine in self._machines:
            machine.start(self._do_told)
        if self._are_several:
            self._flows.start()
        try:
            while self._obey():
                self._check_machines()
                self._follow_memory()
                pause_s = self._step()
                if self._say_several():
                    pause_s = _ARC_STEP_S if pause_s is None else min(pause_s, _ARC_STEP_S)
                if pause_s is None or pause_s > 0:
                    self._wake.wait(pause_s)
                self._wake.clear()
        finally:
            for machine in self._machines:
                machine.stop()
            self._flows.stop()

    # --- machines --------------------------------------------------------------------------------------------

    @property
    def _are_several(self) -> bool:
        return len(self._machines) > 1

    @property
    def _scenes(self) -> list[Scene]:
        return [machine.scene for machine in self._machines]

    def _stand(self) -> None:
        """Place the machines, and draw them from here on."""
        stand_side_by_side(self._scenes, [machine.name for machine in self._machines])
        self._renderer = Renderer(*self._scenes)

    def _machine(self, name: str) -> LiveMachine:
        """The machine called `name`, the active one for none."""
        names = [machine.name for machine in self._machines]
        if not name:
            return self._machines[self._active]
        if name not in names:
            raise UsageError(f"machine {name!r} is not in this picture; it has {', '.join(names)}")
        return self._machines[names.index(name)]

    def _activate(self, machine: LiveMachine) -> None:
        self._active = self._machines.index(machine)

    def _check_machines(self) -> None:
        for machine in self._machines:
            if machine.error is None or machine.scene.is_ended:
                continue
            if not self._are_several:
                raise machine.error
            machine.wait_for_return(self._take_returned)
            self._say(wire.Problem(f"{machine.name} has ended; it is grey until a machine of that name runs again"))
            self._renderer.restart()

    def _take_returned(self, machine: LiveMachine, source: Source) -> None:
        machine.renew(source)
        if machine is self._machines[self._active]:
            self._pin = None
        self._stand()

    def _do_told(self, machine: LiveMachine, event: ViewerEvent) -> None:
        if event.view:
            self._look(event.view, machine)
        elif event.place is not None:
            self._select(event.place, machine, fly=event.fly)
        elif event.target is not None:
            self._show(event.target, event.fly, [machine])

    # --- commands --------------------------------------------------------------------------------------------

    def _obey(self) -> bool:
        """Do what was asked; False once that is to end."""
        while self._actions:
            action = self._actions.popleft()
            if action is None:
                return False
            try:
                action()
            except GlassBoxError as error:
                self._say(wire.Problem(str(error)))
        return True

    def _do(self, command: wire.AnyCommand) -> None:
        if not isinstance(command, wire.Drawn):
            self._policy.reset()
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
            case wire.Select(offset, name):
                self._select(offset, self._machine(name), fly=True)
            case wire.Activate(name):
                self._activate(self._machine(name))
            case wire.Show(target, fly):
                self._show(target, fly, self._machines)
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
        self._camera.home = self._camera.home.framing(*content_around(self._scenes), self._aspect)
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
        rams = [machine.source.ram for machine in self._machines]
        found = pick_at(self._renderer, rams, self._camera.camera, self._size, pixel)
        if found is None:
            self._select(None, self._machine(""), fly=False)
            self._say(wire.Picked())
            return
        machine, place = self._machines[found.machine], (found.page << PAGE_SHIFT) + found.offset
        self._select(place, machine, fly=False)
        physical = None if found.physical is None else PhysicalAddress(found.physical)
        what = describe_pages(found.page_class, found.owner) + (" and others" if found.is_shared else "")
        self._say(wire.Picked(place, physical, what, found.content.hex(), machine.name))

    def _select(self, offset: int | None, machine: LiveMachine, fly: bool) -> None:
        size = len(machine.source.ram.view)
        if offset is not None and offset >= size:
            raise UsageError(f"RAM has no byte {offset:#x}; it ends at {size:#x}")
        self._pin = offset
        self._activate(machine)
        for each in self._machines:
            is_there = offset is not None and each is machine
            each.scene.select(np.array([offset // PAGE_SIZE] if is_there and offset is not None else [], np.int64))
        if fly and offset is not None:
            self._fly_to([(machine.scene, np.array([offset // PAGE_SIZE]))])
        self._renderer.restart()

    def _show(self, target: str, fly: bool, machines: Sequence[LiveMachine]) -> None:
        found = self._highlight(target, machines)
        if target and not found:
            self._say(wire.Problem(f"{target} has no memory now; nothing stands out"))
        elif fly and found:
            self._fly_to(found)

    def _highlight(self, target: str, machines: Sequence[LiveMachine]) -> list[tuple[Scene, npt.NDArray[np.int64]]]:
        """Let `target` stand out in those of `machines` that have it; `UsageError` if none of them knows it."""
        found: list[tuple[Scene, npt.NDArray[np.int64]]] = []
        errors: list[UsageError] = []
        for machine in machines:
            pages = np.zeros(0, np.int64)
            if target and not machine.scene.is_ended:
                try:
                    pages = find_pages(machine.source, target, machine.scene.page_count)
                except UsageError as error:
                    errors.append(error)
            found.append((machine.scene, pages))
        if errors and len(errors) == sum(not machine.scene.is_ended for machine in machines):
            raise errors[0]
        for scene, pages in found:
            scene.highlight(pages, title=target)
        self._glow = target
        self._renderer.restart()
        return [(scene, pages) for scene, pages in found if len(pages)]

    def _fly_to(self, found: Sequence[tuple[Scene, npt.NDArray[np.int64]]]) -> None:
        self._camera.fly_to(framing_found(found, self._camera.goal, self._aspect))

    def _look(self, text: str, told: LiveMachine | None = None) -> None:
        view = parse_view(text, View(self._camera.goal))
        machine = self._machine(view.machine) if view.machine else told or self._machines[0]
        for scene in self._scenes:
            scene.set_look(view.look)
        if view.camera != self._camera.goal:
            self._camera.fly_to(view.camera)
        if view.pin is not None:
            self._select(view.pin, machine, fly=False)
        if view.glow != self._glow:
            self._highlight(view.glow, self._machines)
        self._renderer.restart()

    # --- drawing ---------------------------------------------------------------------------------------------

    def _follow_memory(self) -> None:
        now_s = time.monotonic()
        changes = [machine.follow_memory(now_s) for machine in self._machines if not machine.scene.is_ended]
        self._is_comparing = self._equal.update(
            self._scenes, [machine.source.ram.view for machine in self._machines], now_s
        )
        if any(changes):
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
            is_settled = all(scene.is_settled for scene in self._scenes) and not self._is_comparing
            return None if is_settled else self._policy.pause_s(self._frame_s)
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
        # Again at the end: what changed meanwhile is drawn, and means something else.
        if passes in (_SENT_AT[1], PASSES):
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
        device = self._renderer.device
        if self._target is None:
            usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
            self._target = device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
        self._renderer.present(self._target.create_view(), size)
        pixels = np.ascontiguousarray(read_texture(device, self._target, RGBA)[..., :3])
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        self._is_waiting = True
        self._say_several()
        self._send(wire.PICTURE, file.getvalue())

    # --- messages --------------------------------------------------------------------------------------------

    def _say(self, message: wire.AnyMessage) -> None:
        text = encode_json(message)
        if isinstance(message, wire.Words | wire.Legend | wire.Several):
            if self._said.get(type(message)) == text:
                return
            self._said[type(message)] = text
        self._send(wire.MESSAGE, text)

    def _say_several(self) -> bool:
        """What stands over several machines, if it is news; whether it will be another soon by itself."""
        if not self._are_several or self._size is None:
            return False
        arcs = self._flows.arcs()
        self._say(several_of(self._scenes, arcs, self._active, self._camera.camera, self._size))
        return bool(arcs)

    def _say_words(self, size: tuple[int, int]) -> None:
        """Names of what is seen, and what colours mean; the daemons hear where the camera came to rest."""
        view = format_view(self._view)
        for machine in self._machines:
            machine.report(view)
        self._say(legend_of(self._scenes, view))
        self._say(words_of(self._renderer, self._camera.camera, size))

    @property
    def _view(self) -> View:
        """The view at the end of the present camera move."""
        name = self._machines[self._active].name if self._active and self._pin is not None else ""
        look = self._machines[0].scene.look
        return View(self._camera.goal, look=look, pin=self._pin, glow=self._glow, machine=name)


def show_live(names: Sequence[str]) -> None:
    """Draw machines `names` for whoever holds the other ends of standard input and output, until that ends."""
    output = os.fdopen(os.dup(1), "wb")
    # What a library prints goes to the log, not between the pictures.
    os.dup2(2, 1)

    def send(kind: bytes, content: bytes) -> None:
        output.write(wire.FRAME.pack(kind, len(content)) + content)
        output.flush()

    try:
        # Sources are not closed here: one that ended may have another in its place, and the process ends with the picture.
        picture = LivePicture(list(open_machines(names, is_followed=True)), send)
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
