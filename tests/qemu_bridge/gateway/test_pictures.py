"""Pictures as PNG."""

import io

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.guest


def test_a_picture_is_drawn_and_sent(reader, machine):
    path = f"/api/machines/{machine.name}/snap.png"
    answer = reader.get(f"{path}?width=320&height=200&at=mode=owner")
    assert answer.status == 200 and answer.headers["content-type"] == "image/png"
    picture = np.asarray(Image.open(io.BytesIO(answer.body)))
    assert picture.shape[:2] == (200, 320) and picture.std() > 5


@pytest.mark.parametrize("query", ["width=1", "width=x", "height=99999999", "output=/tmp/x.png"])
def test_what_cannot_be_drawn_is_told_in_words(reader, machine, query):
    answer = reader.get(f"/api/machines/{machine.name}/snap.png?{query}")
    assert answer.status == 400 and answer.error["message"]


def test_nobody_has_no_picture(reader):
    assert reader.get("/api/machines/nobody/snap.png").status == 404
