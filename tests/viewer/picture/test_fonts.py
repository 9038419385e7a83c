"""Letters of any script."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from viewer.picture.fonts import find_wide_font, load_font


def drawn(words):
    image = Image.new("L", (60, 40))
    ImageDraw.Draw(image).text((5, 5), words, fill=255, font=load_font(24, words))
    return np.asarray(image)


def test_latin_words_are_in_the_font_that_is_always_there():
    assert load_font(14, "heap of sh (412) · …") is load_font(14)


@pytest.mark.skipif(find_wide_font() is None, reason="no font with Han is installed; bootstrap installs one")
def test_han_kana_and_hangul_are_letters_and_no_boxes():
    letters = [drawn(letter) for letter in "中文かな한"]
    missing = drawn("\U0010fffd")
    for number, letter in enumerate(letters):
        assert letter.max() > 200 and (letter != missing).any()
        assert all((letter != other).any() for other in letters[number + 1 :])
