"""The clipboard of a real desktop, under Xvfb: text goes both ways, and no other program can stop the window."""

from __future__ import annotations

import subprocess
import sys

import pytest
from desktop import Typist
from support import needs_display

from viewer.app import clipboard

pytestmark = [pytest.mark.window, needs_display]

OWN = """
import glfw, sys
glfw.init()
glfw.set_clipboard_string(None, sys.argv[1])
print("owned", flush=True)
while True:
    glfw.wait_events()
"""
READ = "import viewer.app.clipboard as c; c._main()"
XLIB = """
import ctypes
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
for name in ("XInternAtom", "XCreateSimpleWindow", "XDefaultRootWindow"):
    getattr(x, name).restype = ctypes.c_ulong
display = ctypes.c_void_p(x.XOpenDisplay(None))
root = ctypes.c_ulong(x.XDefaultRootWindow(display))
def atom(name):
    return ctypes.c_ulong(x.XInternAtom(display, name, 0))
def window():
    return ctypes.c_ulong(x.XCreateSimpleWindow(display, root, 0, 0, 9, 9, 0, ctypes.c_ulong(0), ctypes.c_ulong(0)))
clipboard = atom(b"CLIPBOARD")
"""
# Whoever asks is gone before the answer comes: the server sees both requests at once.
VANISH = """
for _ in range(20):
    asking = window()
    x.XConvertSelection(display, clipboard, atom(b"UTF8_STRING"), atom(b"ANSWER"), asking, ctypes.c_ulong(0))
    x.XDestroyWindow(display, asking)
    x.XSync(display, 0)
"""
NEVER_ANSWER = """
x.XSetSelectionOwner(display, clipboard, window(), ctypes.c_ulong(0))
x.XSync(display, 0)
print("owned", flush=True)
import time
time.sleep(600)
"""


@pytest.fixture
def somebody(display, tmp_path):
    typist = Typist(display, tmp_path, "search copy-view")
    yield typist
    typist.process.kill()
    typist.process.wait()


class Owner:
    """A program that has the clipboard."""

    def __init__(self, typist, *words):
        command = [sys.executable, "-c", *words]
        self.process = subprocess.Popen(command, env=typist.environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "owned\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def read(typist):
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, env=typist.environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.removeprefix("?")


def test_what_another_program_copied_is_pasted_in_order_with_what_is_typed(somebody):
    with Owner(somebody, OWN, "näh{ }"):
        somebody.act("key", "--delay", "1", "slash", "a", "ctrl+v", "b")
        somebody.wait_for("palette True 'anäh{ }b'")
        somebody.act("key", "Escape", "slash")
        somebody.wait_for("palette True ''")
        somebody.act("key", "shift+Insert")
        somebody.wait_for("palette True 'näh{ }'")


def test_a_text_that_comes_at_once_with_the_first_byte_is_read():
    command = [sys.executable, "-c", "import os; os.write(1, b'?n\\xc3\\xa4h')"]
    assert all(clipboard._ask_process(command) == "näh" for _ in range(5))


@pytest.mark.long
def test_a_paste_right_after_the_box_opens_is_never_lost_on_a_busy_machine(somebody):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        with Owner(somebody, OWN, "näh{ }"):
            for number in range(20):
                somebody.act("key", "--delay", ("1", "5", "12", "30")[number % 4], "slash", "ctrl+v")
                somebody.wait_for("palette True 'näh{ }'")
                somebody.act("key", "Escape")
                somebody.wait_for("palette False 'näh{ }'")
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_what_the_window_copied_is_pasted_there_and_elsewhere(somebody):
    somebody.act("key", "slash", "m", "n", "ctrl+a", "ctrl+c")
    somebody.wait_for("palette True 'mn'")
    somebody.act("key", "Right", "ctrl+v")
    somebody.wait_for("palette True 'mnmn'")
    assert read(somebody) == "mn"
    somebody.act("key", "Escape", "y")
    somebody.wait_for("pressed 'y' copy-view")
    view = read(somebody)
    assert view.startswith("yaw=")
    somebody.act("key", "slash", "ctrl+v")
    somebody.wait_for(f"palette True {view!r}")


def test_a_program_that_vanishes_while_it_asks_for_the_text_harms_nobody(somebody):
    somebody.act("key", "y")
    somebody.wait_for("pressed 'y' copy-view")
    for _ in range(3):
        subprocess.run([sys.executable, "-c", XLIB + VANISH], env=somebody.environment, check=True, timeout=60)
    assert read(somebody).startswith("yaw=")
    somebody.act("key", "slash")
    somebody.wait_for("palette True ''")


def test_a_program_that_has_the_clipboard_and_never_answers_does_not_stop_the_window(somebody):
    with Owner(somebody, XLIB + NEVER_ANSWER):
        somebody.act("key", "slash", "a", "ctrl+v", "b")
        somebody.wait_for("palette True 'ab'")
    with Owner(somebody, OWN, "later"):
        somebody.act("key", "ctrl+v")
        somebody.wait_for("palette True 'ablater'")
