"""Video of a machine or a capture as MP4: along a script of views, or just as it lives for some seconds.

A script is text, a shot a line: how many seconds the way there takes, then the view as `viewer.view.views` writes it. Way and
view may be left out: ``hold`` stays where one is. What a view does not name is as in the shot before, ``#`` begins a comment::

    0   yaw=35,pitch=24          # begin here
    4   yaw=125                  # a quarter turn in four seconds
    2   hold
    3   distance=0.6,target=0.2:0.5:0.4

On the way the target moves linearly, the orientation by slerp and the distance exponentially, as Neuroglancer's video tool
does. Frames are drawn one by one and take what time they need; a running machine goes on meanwhile, and every frame
shows it as it is when the frame is drawn.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.errors import GlassBoxError, UsageError

from ..render.raymarch import Renderer
from ..render.readback import RGBA, read_texture
from ..render.scene import Scene
from ..sources.source import Source
from ..sources.watcher import MemoryWatcher
from ..view.camera import Camera, blend
from ..view.look import KEYS as LOOK_KEYS
from ..view.look import Look
from ..view.views import View, parse_view
from .legend import draw_overlay, legend_shift
from .offscreen import load_scene

log = logging.getLogger(__name__)

MAX_SECONDS = 3600.0
MAX_SCRIPT_BYTES = 1 << 20
MAX_FPS = 120
PASSES = 4
"""How often a frame is refined: video hides the grain that a picture at rest would show."""
_BYTES_A_FRAME = 64 << 20
_CODEC, _QUALITY = "libx264", {"crf": "18", "preset": "veryfast"}


@dataclass(frozen=True, slots=True)
class Shot:
    """The view one arrives at, `seconds` after the one before."""

    view: View
    seconds: float


def parse_script(text: str, start: View) -> tuple[Shot, ...]:
    """The shots in `text`; the first continues `start`. `UsageError`, naming the line, for one that makes no sense."""
    shots: list[Shot] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split(None, 1)
        if not words:
            continue
        view = shots[-1].view if shots else start
        try:
            seconds = _to_seconds(words[0])
            if len(words) > 1 and words[1].strip() != "hold":
                view = _next_view(words[1], view)
        except UsageError as error:
            raise UsageError(f"line {number} of the video script: {error}") from None
        shots.append(Shot(view, seconds))
    total = sum(shot.seconds for shot in shots)
    if not 0 < total <= MAX_SECONDS:
        raise UsageError(
            f"the video script lasts {total:g} s; write shots such as '4 yaw=125' of up to an hour together"
        )
    return tuple(shots)


def read_script(name: str) -> str:
    """The script in file `name`, or on standard input for ``-``; `UsageError` where there is none to read."""
    try:
        data = sys.stdin.buffer.read(MAX_SCRIPT_BYTES) if name == "-" else Path(name).read_bytes()[:MAX_SCRIPT_BYTES]
        return data.decode()
    except OSError as error:
        raise UsageError(f"cannot read the video script {name} ({error.strerror}); give a text file or -") from None
    except UnicodeDecodeError:
        raise UsageError(f"the video script {name} is no text; write lines such as '4 yaw=125'") from None


def _next_view(text: str, before: View) -> View:
    view = parse_view(text, before)
    names_look = any(pair.partition("=")[0].strip() in LOOK_KEYS for pair in text.split(","))
    return view if names_look else replace(view, look=before.look)


def _to_seconds(word: str) -> float:
    try:
        seconds = float(word.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:
        raise UsageError(f"{word!r} is no time; begin each shot with its seconds, such as '4 yaw=125'")
    return seconds


def camera_at(shots: tuple[Shot, ...], time_s: float) -> tuple[View, Camera]:
    """The shot that one is in, or on the way to, at `time_s`, and the camera of that moment."""
    before = shots[0].view
    for shot in shots:
        if time_s < shot.seconds:
            if before.camera == shot.view.camera:
                return shot.view, before.camera
            share = time_s / shot.seconds
            return shot.view, blend(before.camera, shot.view.camera, share * share * (3 - 2 * share))
        time_s -= shot.seconds
        before = shot.view
    return before, before.camera


class Mp4:
    """An H.264 file that is written frame by frame; it takes its name when it is complete."""

    def __init__(self, path: Path, size: tuple[int, int], fps: int) -> None:
        """Begin the file; `UsageError` for odd sizes, `GlassBoxError` where it cannot be written."""
        if size[0] % 2 or size[1] % 2:
            raise UsageError(f"video needs even sides, not {size[0]}x{size[1]}; use --size 1280x720")
        # Imported here: it loads FFmpeg, which a window need not wait for.
        import av

        if not path.name:
            raise UsageError(f"{path} is no name for a video; give a file such as -o tour.mp4")
        if path.is_dir():
            raise UsageError(f"{path} is a folder; give a file such as -o {path / 'tour.mp4'}")
        self._av, self._path = av, path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            self._file = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
            stream: Any = self._file.add_stream(_CODEC, rate=fps, options=_QUALITY)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.time_base = Fraction(1, fps)
            self._file.start_encoding()
        except (OSError, av.FFmpegError) as error:
            raise _cannot_write(path, error) from None
        self._stream, self._count = stream, 0

    def write(self, picture: npt.NDArray[np.uint8]) -> None:
        """Append a frame: sRGB, `uint8` of shape (height, width, 3)."""
        try:
            self._file.mux(self._stream.encode(self._av.VideoFrame.from_ndarray(picture, format="rgb24")))
        except (OSError, self._av.FFmpegError) as error:
            raise _cannot_write(self._path, error) from None
        self._count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        # Ctrl-C keeps what there is, if that is anything: who stops a recording wants it.
        keep = kind is None or (issubclass(kind, KeyboardInterrupt) and self._count > 0)
        try:
            if keep:
                self._file.mux(self._stream.encode(None))
            self._file.close()
            if keep:
                self._partial.replace(self._path)
        except (OSError, self._av.FFmpegError) as error:
            if keep:
                raise _cannot_write(self._path, error) from None
        finally:
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)


def _cannot_write(path: Path, error: Exception) -> GlassBoxError:
    reason = getattr(error, "strerror", None) or error
    return GlassBoxError(f"cannot write the video {path} ({reason}); choose another path with -o")


def record(
    source: Source,
    path: Path,
    shots: Callable[[Scene], tuple[Shot, ...]],
    *,
    size: tuple[int, int] = (1280, 720),
    fps: int = 30,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the video to `path` and return its number of frames.

    `shots` is asked once the scene is there, whose extent a first view may depend on; `progress` is told how many
    frames are done, of how many.
    """
    if not 1 <= fps <= MAX_FPS:
        raise UsageError(f"{fps} is no frame rate for a video; use 1 to {MAX_FPS}")
    with Mp4(path, size, fps) as file:
        scene = load_scene(source)
        way = shots(scene)
        total = max(round(sum(shot.seconds for shot in way) * fps), 1)
        for done, picture in enumerate(_frames(source, scene, way, size, fps, total), 1):
            file.write(picture)
            progress(done, total)
    return total


def _frames(
    source: Source, scene: Scene, shots: tuple[Shot, ...], size: tuple[int, int], fps: int, total: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pictures, each of the memory as it is by then."""
    renderer = Renderer(scene)
    renderer.shift = legend_shift(*size)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = scene.device.create_texture(size=(*size, 1), format="rgba8unorm", usage=usage)
    watcher = MemoryWatcher(source, lambda: None)
    watcher.start()
    look: Look | None = None
    try:
        for number in range(total):
            view, camera = camera_at(shots, number / fps)
            is_new = _follow(watcher, scene, source, number / fps)
            if is_new or view.look != look:
                look = view.look
                scene.set_look(look)
                renderer.set_overlay(draw_overlay(size, scene, source.title, []))
            renderer.restart()
            for _ in range(PASSES):
                renderer.draw_pass(camera, size)
            renderer.present(target.create_view(), size)
            yield np.ascontiguousarray(read_texture(scene.device, target, RGBA)[..., :3])
    finally:
        watcher.stop()


def _follow(watcher: MemoryWatcher, scene: Scene, source: Source, time_s: float) -> bool:
    """Take what changed since the last frame; whether the page map did."""
    pages, written = watcher.take_changes(_BYTES_A_FRAME)
    scene.update_pages(source.ram.view, pages, written, time_s)
    page_map = watcher.take_page_map()
    is_new = page_map is not None and scene.set_page_map(page_map)
    scene.advance(source.ram.view, time_s)
    return is_new
