"""Draw the pictures of the README and the docs from a machine booted for it: ``just pictures``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parent / "pictures"
NAME = "alpine"
VIEWS = {
    "memory.png": ["--size", "1600x900"],
    "tables.png": ["--size", "1200x800", "--camera", "yaw=35,pitch=28,distance=1.0,target=0.62:0.78:0.62"],
}


def glassbox(*words: str) -> None:
    """Run the command line; a failure ends the program."""
    subprocess.run([sys.executable, "-m", "qemu_bridge.cli", *words], check=True)


def main() -> None:
    """Boot, draw every view, clean up."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = os.environ["XDG_STATE_HOME"] = folder
        glassbox("start", NAME, "--wait")
        try:
            for file, words in VIEWS.items():
                glassbox("snap", NAME, "-o", str(PICTURES / file), *words)
        finally:
            glassbox("stop", NAME)


if __name__ == "__main__":
    main()
