"""The clipboard of the desktop, both ways, whatever the other programs on it do.

glfw copies and reads; two things it leaves to its user. A program that vanishes while it asks for our text makes an X error, at which
Xlib ends the process unless there is a handler. And while glfw reads, it waits without limit for the program that has the text. So
under X11 another process reads, which is ended when no text has come in time, while this one goes on, and answers if the text is its
own. ``python -m viewer.app.clipboard`` is that process.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import glfw

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 16
READ_S = 3.0
_handlers: list[object] = []
"""Xlib keeps no reference to its handler."""


class _XError(ctypes.Structure):
    # XErrorEvent of Xlib.h, up to what is told.
    _fields_ = (
        ("type", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("resource", ctypes.c_ulong),
        ("serial", ctypes.c_ulong),
        ("error", ctypes.c_ubyte),
        ("request", ctypes.c_ubyte),
    )


_HANDLER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_XError))


def _note_x_error(display: object, error: Any) -> int:  # noqa: ANN401  # a pointer of ctypes
    told = error.contents
    log.debug("the X server reports error %d of request %d", told.error, told.request)
    return 0


def survive_x_errors() -> None:
    """Log errors of the X server instead of ending the process; does nothing where glfw does not use X11."""
    if glfw.get_platform() != glfw.PLATFORM_X11 or _handlers:
        return

    handler = _HANDLER(_note_x_error)
    library = ctypes.CDLL("libX11.so.6")  # which glfw has loaded
    library.XSetErrorHandler.restype, library.XSetErrorHandler.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    library.XSetErrorHandler(ctypes.cast(handler, ctypes.c_void_p))
    _handlers.append(handler)


class Clipboard:
    """The clipboard of the desktop that glfw is on.

    Attributes:
        text: what was read last.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called on another thread when `read` is done."""
        self.text = ""
        self._wake = wake
        self._reader: threading.Thread | None = None

    def copy(self, text: str) -> None:
        """Put `text` on the clipboard."""
        self.text = text
        glfw.set_clipboard_string(None, text.encode("utf-8", "replace").decode())  # type: ignore[arg-type]

    @property
    def is_reading(self) -> bool:
        """Whether `text` is still to come."""
        return self._reader is not None

    def read(self) -> None:
        """Begin to bring `text` up to date; it is empty if there is none, or none came in `READ_S` seconds."""
        if glfw.get_platform() != glfw.PLATFORM_X11:
            self.text = _read()  # Wayland gives it to the window that has the focus only
        elif not self.is_reading:
            self._reader = threading.Thread(target=self._read_in_process, name="viewer-clipboard", daemon=True)
            self._reader.start()

    def _read_in_process(self) -> None:
        try:
            self.text = _ask_process()
        except OSError as error:
            self.text = ""
            log.warning("the clipboard cannot be read (%s); try again", error)
        self._reader = None
        self._wake()


_READER = (sys.executable, "-m", __name__)


def _ask_process(command: Sequence[str] = _READER) -> str:
    # Without a buffer: on a busy machine the text may be there already when the first byte is read, and would stay in it.
    with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        assert reader.stdout is not None
        reader.stdout.read(1)  # it is up, and asks from now on
        try:
            return reader.communicate(timeout=READ_S)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            reader.kill()
    log.warning("the program that has the clipboard does not answer; copy the text again")
    return ""


def _read() -> str:
    with contextlib.suppress(glfw.GLFWError):
        read: Any = glfw.get_clipboard_string(None)  # type: ignore[arg-type]  # the window has no meaning any more
        return bytes(read or b"").decode(errors="replace")
    return ""


def _main() -> None:
    """Write a byte to standard output when all is ready, then what is on the clipboard."""
    glfw.init()
    os.write(1, b"?")
    text = _read()
    sys.stdout.buffer.write(text.encode("utf-8", "replace")[:MOST_BYTES])
    sys.stdout.flush()
    os._exit(0)  # nobody waits for glfw to end


if __name__ == "__main__":
    _main()
