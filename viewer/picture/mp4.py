"""H.264 files, written frame by frame."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GlassBoxError, UsageError

from .output import cannot_write, validate_output

_CODEC, _QUALITY = "libx264", {"crf": "18", "preset": "veryfast"}


def partial_path(path: Path) -> Path:
    """Where this process writes the video that becomes `path` when it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def validate_video(path: Path, size: tuple[int, int]) -> None:
    """Raise `UsageError` for odd sizes or a path that is no file's, `GlassBoxError` where it cannot be written. Writes nothing."""
    if size[0] % 2 or size[1] % 2:
        raise UsageError(f"video needs even sides, not {size[0]}x{size[1]}; use --size 1280x720")
    if not path.name:
        raise UsageError(f"{path} is not a file name; give a file such as -o tour.mp4")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a file such as -o {path / 'tour.mp4'}")
    validate_output(path, "video")


class Mp4:
    """An H.264 file that is written frame by frame; it takes its name when it is complete."""

    def __init__(self, path: Path, size: tuple[int, int], fps: int) -> None:
        """Begin the file; `UsageError` for odd sizes, `GlassBoxError` where it cannot be written."""
        validate_video(path, size)
        # Imported here: it loads FFmpeg, which a window need not wait for.
        import av

        self._av, self._path = av, path
        self._partial = partial_path(path)
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
    return cannot_write("video", path, str(getattr(error, "strerror", None) or error))
