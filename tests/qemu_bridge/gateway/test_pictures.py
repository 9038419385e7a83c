"""Pictures as PNG."""

import io
import json
import urllib.parse

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


def test_several_machines_are_drawn_side_by_side(service, machine, second_machine):
    second = second_machine.name
    alone = service.get(f"/api/machines/{machine.name}/snap.png?width=320&height=200&at=mode=owner")
    query = urllib.parse.urlencode({"width": 320, "height": 200, "beside": json.dumps([second]), "at": "mode=equal"})
    answer = service.get(f"/api/machines/{machine.name}/snap.png?{query}")
    assert answer.status == 200 and answer.body != alone.body
    options = {"output": "pair.png", "width": 320, "height": 200, "beside": [second]}
    drawn = service.post(f"/api/machines/{machine.name}/snap", {"options": options})
    assert drawn.status == 200 and drawn.json()["title"].startswith(f"{machine.name}, {second}")
    for wrong, status in (
        ('["nobody"]', 404),
        ('["../x"]', 400),
        ("x", 400),
        ("[1]", 400),
        (f'["{machine.name}"]', 400),
    ):
        query = urllib.parse.urlencode({"beside": wrong})
        assert service.get(f"/api/machines/{machine.name}/snap.png?{query}").status == status, wrong


@pytest.mark.parametrize("query", ["width=1", "width=x", "height=99999999", "output=/tmp/x.png"])
def test_what_cannot_be_drawn_is_told_in_words(reader, machine, query):
    answer = reader.get(f"/api/machines/{machine.name}/snap.png?{query}")
    assert answer.status == 400 and answer.error["message"]


def test_nobody_has_no_picture(reader):
    assert reader.get("/api/machines/nobody/snap.png").status == 404
