"""Draw the pictures of the README and the docs from a machine booted for it: ``just pictures``.

The picture of the window needs Xvfb; without it the old one is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    settings = Path(folder) / "glassbox" / "viewer.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text('panels = ["layers", "details", "labels"]\n')
    ranges = json.loads(glassbox("where", NAME, PINNED, "--json"))["ranges"]
    # All of RAM in the frame, with the byte marked and the inspector beside it.
    view = f"pin={ranges[0]['ram_offset']:#x}"
    with display(WINDOW) as name:
        environment = {**os.environ, "DISPLAY": name, "XDG_CONFIG_HOME": folder}
        environment.pop("WAYLAND_DISPLAY", None)
        words = [NAME, "--size", WINDOW, "--at", view, "--after", "15", "--screenshot", str(path)]
        subprocess.run([sys.executable, "-m", "viewer", "view", *words], env=environment, check=True)


def main() -> None:
    """Boot, draw every view, clean up."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = os.environ["XDG_STATE_HOME"] = folder
        glassbox("start", NAME, "--wait")
        try:
            for file, words in VIEWS.items():
                glassbox("snap", NAME, "-o", str(PICTURES / file), *words)
            if shutil.which("Xvfb"):
                draw_window(PICTURES / "window.png", folder)
            else:
                print("Xvfb is missing, so the picture of the window is not redrawn; install xvfb", file=sys.stderr)
        finally:
            glassbox("stop", NAME)


if __name__ == "__main__":
    main()
