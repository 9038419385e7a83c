"""What a live picture says of itself, on made-up memory."""

import numpy as np
import pytest
from synthetic import SyntheticSource

from viewer.app.live_messages import legend_of, several_of, words_of
from viewer.picture.offscreen import choose_camera, load_scenes
from viewer.render.raymarch import Renderer
from viewer.sources.flows import Arc

SIZE = (400, 240)


@pytest.fixture(scope="module")
def pair(device):
    return load_scenes([SyntheticSource(f"{name} · 2 MiB RAM") for name in ("one", "other")])


def test_names_stand_over_their_cubes_and_arcs_lead_from_one_to_the_other(pair):
    camera = choose_camera(Renderer(*pair), SIZE[0] / SIZE[1])
    pair[1].is_ended = True
    try:
        said = several_of(pair, [Arc("other", "one", 300, ("sh → cat: 300 B",), 0.5)], 1, camera, SIZE)
    finally:
        pair[1].is_ended = False
    assert [(cube.name, cube.is_active, cube.is_ended) for cube in said.cubes] == [
        ("one", False, False),
        ("other", True, True),
    ]
    assert 0 < said.cubes[0].x < 0.5 < said.cubes[1].x < 1
    (arc,) = said.arcs
    assert arc.words == ("sh → cat: 300 B",) and arc.strength == 0.5
    assert abs(arc.path[0][0] - said.cubes[1].x) < 0.15 and abs(arc.path[-1][0] - said.cubes[0].x) < 0.15


def test_the_legend_counts_what_is_in_all_machines(pair):
    both, one = legend_of(pair, ""), legend_of(pair[:1], "")
    assert {colour.label: colour.size_bytes for colour in both.colours} == {
        colour.label: 2 * colour.size_bytes for colour in one.colours
    }
    pair[1].highlight(np.arange(70, 73), title="here")
    try:
        assert (legend_of(pair, "x").shown, legend_of(pair, "x").shown_bytes, legend_of(pair, "x").view) == (
            "here",
            3 * 4096,
            "x",
        )
    finally:
        pair[1].highlight(np.zeros(0, np.int64), title="")


def test_names_of_what_is_seen_have_places_in_the_picture(device):
    scenes = load_scenes([SyntheticSource()])
    renderer = Renderer(*scenes)
    said = words_of(renderer, choose_camera(renderer), (800, 500))
    assert {"kernel text"} <= {word.text for word in said.words}
    assert all(0 <= word.x <= 1 and 0 <= word.y <= 1 for word in said.words)
