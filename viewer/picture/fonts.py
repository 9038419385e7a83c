"""Fonts of words on pictures: one for Latin letters that is always there, and the system's for Chinese, Japanese and Korean.

Names of processes and files may be in any script. A font that holds all of Han is larger than this program, so the system's is
looked for, by fontconfig.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_LATIN_END = 0x250
_WANTED = ("3042 4e2d ac00", "3042 4e2d", "4e2d")
"""Hiragana, Han and Hangul; without what a font may lack."""


@lru_cache(maxsize=1)
def find_wide_font() -> Path | None:
    """A font of the system with Chinese, Japanese and Korean letters; None where there is none, or no fontconfig."""
    for letters in _WANTED:
        command = ["fc-list", "--format", "%{file}\n", f":charset={letters}"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            return None
        files = [line for line in answer.splitlines() if line.lower().endswith((".ttf", ".ttc", ".otf"))]
        if files:
            # Upright and of usual weight, where there is a choice.
            return Path(min(files, key=lambda file: ("Bold" in file, "Sans" not in file and "Hei" not in file, file)))
    return None


@lru_cache(maxsize=32)
def _load(size: int, path: Path | None) -> Font:
    return ImageFont.load_default(size=size) if path is None else ImageFont.truetype(path, size)


def load_font(size: int, words: str = "") -> Font:
    """A font for `words`, `size` pixels high: Pillow's own, or the system's where they need letters that it lacks."""
    is_latin = all(ord(letter) < _LATIN_END or letter in "…·–" for letter in words)
    return _load(size, None if is_latin else find_wide_font())
