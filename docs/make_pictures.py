"""Draw the pictures of the README and the docs from a machine booted for it: ``just pictures``.

The pictures of the window need Xvfb and xdotool; without them the old ones are kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pixel_cpu import Device, kernels, loads

PICTURES = Path(__file__).parent / "pictures"
NAME = "alpine"
WINDOW = "1600x900"
VIEWS = {
    "memory.png": ["--size", "1600x900"],
    "owners.png": ["--size", "1600x900", "--at", "mode=owner,slice=0:0:0.3:1:1:1,yaw=20"],
    "entropy.png": ["--size", "1600x900", "--at", "mode=entropy"],
}
# Near enough for single bytes, and all of it between legend and guide.
_NEAR = "yaw=35,pitch=28,distance=1.6,target=0.5:0.74:0.5"
VIEWS["tables.png"] = [
    "--size",
    "1200x800",
    "--at",
    f"{_NEAR},only=page-table+kernel-stack+module+process-text+process-file",
]
PINNED = "slab:task_struct"
"""The target whose first byte is pinned in the window's inspector."""


def glassbox(*words: str) -> str:
    """Run the command line and return its output; a failure ends the program."""
    command = [sys.executable, "-m", "qemu_bridge.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def display(size: str) -> Iterator[str]:
    """Run Xvfb; yields the display's name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def draw_window(path: Path, folder: str) -> None:
    """Take a screenshot of the window with a byte pinned, after some seconds, as whoever has clicked once sees it: without the hint."""
    ranges = json.loads(glassbox("where", NAME, PINNED, "--json"))["ranges"]
    # All of RAM in the frame, with the byte marked and the inspector beside it.
    view = f"pin={ranges[0]['ram_offset']:#x}"
    with window(path, folder, WINDOW, ["layers", "details", "labels"], "--at", view) as viewer:
        viewer.wait()


def draw_launches(path: Path, folder: str) -> None:
    """Take a screenshot of the panel of launches while kernels run, one of which writes beyond the end of its buffer."""
    shift = loads("""
GPU_KERNEL shift
    GPU_PARAM x int[]
    GPU_PARAM y int[]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        STORE x[i] -> y[i + 8]
GPU_END
""").kernel()
    mandelbrot = loads(kernels.source("mandelbrot")).kernel("mandelbrot")
    with (
        window(path, folder, "1280x800", ["layers", "details", "labels"], "--at", "mode=class") as viewer,
        Device("cpu", counts=True) as device,
    ):
        subprocess.run(["xdotool", "search", "--sync", "--name", "Glass Box", "key", "L"], check=True)
        pixels = device.zeros(1 << 18, "i4")
        numbers, results = device.array(np.arange(4096, dtype=np.int32)), device.zeros(4096, "i4")
        while viewer.poll() is None:
            place = {"width": 512, "left": -2.0, "top": -1.25, "step": 2.5 / 512, "most": 256}
            mandelbrot.launch(len(pixels), device=device, counts=pixels, **place)
            shift.launch(len(numbers), device=device, x=numbers, y=results, raise_traps=False)
            mandelbrot.launch(len(pixels), device=device, counts=pixels, **{**place, "left": -0.5, "step": 0.002})
            time.sleep(0.4)


@contextmanager
def window(path: Path, folder: str, size: str, panels: list[str], *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A window that takes a screenshot of itself after some seconds and ends."""
    settings = Path(folder) / "glassbox" / "viewer.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(f"panels = {json.dumps(panels)}\n")
    with display(size) as name:
        os.environ["DISPLAY"], os.environ["XDG_CONFIG_HOME"] = name, folder
        os.environ.pop("WAYLAND_DISPLAY", None)
        command = [sys.executable, "-m", "viewer", "view", NAME, "--size", size, *words]
        with subprocess.Popen([*command, "--after", "15", "--screenshot", str(path)]) as viewer:
            yield viewer
        if viewer.returncode:
            sys.exit(f"the window ended with status {viewer.returncode}")


def main() -> None:
    """Boot, draw every view, clean up."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = os.environ["XDG_STATE_HOME"] = folder
        glassbox("start", NAME, "--wait")
        try:
            for file, words in VIEWS.items():
                glassbox("snap", NAME, "-o", str(PICTURES / file), *words)
            if shutil.which("Xvfb") and shutil.which("xdotool"):
                draw_window(PICTURES / "window.png", folder)
                draw_launches(PICTURES / "launches.png", folder)
            else:
                print("the pictures of the window are not redrawn; install xvfb and xdotool", file=sys.stderr)
        finally:
            glassbox("stop", NAME)


if __name__ == "__main__":
    main()
