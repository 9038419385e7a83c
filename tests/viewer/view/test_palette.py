"""Colours that everybody can tell apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.view.palette import (
    CLASS_SLOTS,
    GLOW_COLOUR,
    MATERIALS,
    OWNER_COLOURS,
    PALETTES,
    RAMP_STEPS,
    colour_of,
    difference_ramp,
    material,
    owner_ramp,
    owner_shade,
    ramp,
    table,
    to_linear,
)

# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision deficiency",
# IEEE TVCG 15(6), 2009: severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def to_lab(linear):
    x, y, z = np.cbrt(np.maximum(XYZ @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_classes_differ_for_every_kind_of_colour_vision(vision):
    seen = {c: to_lab(np.asarray(VISION[vision]) @ to_linear(m.colour)) for c, m in MATERIALS.items() if m.is_body}
    for one, other in itertools.combinations(seen, 2):
        # CIE 1976 difference; 2.3 is just noticeable.
        assert np.linalg.norm(seen[one] - seen[other]) > 10, (one, other)


@pytest.mark.parametrize("name", PALETTES)
def test_the_glow_has_a_colour_that_no_class_has(name):
    visions = {"default": VISION, "red-green": ["normal", "protanopia", "deuteranopia"]}.get(
        name, ["normal", "tritanopia"]
    )
    for vision in visions:
        glow, *classes = (
            to_lab(np.asarray(VISION[vision]) @ to_linear(colour))
            for colour in (GLOW_COLOUR, *(colour_of(c, name) for c, m in MATERIALS.items() if m.is_body))
        )
        assert min(np.linalg.norm(glow - other) for other in classes) > 14


def test_every_class_has_a_material_and_air_is_empty():
    assert set(MATERIALS) == set(PageClass)
    assert MATERIALS[PageClass.UNTOUCHED].surface_opacity == 0


def test_classes_from_the_future_look_like_other():
    assert material(CLASS_SLOTS - 1) == MATERIALS[PageClass.OTHER]


def test_table_is_what_the_shader_expects():
    record = table()
    assert record.nbytes == (2 * CLASS_SLOTS + RAMP_STEPS) * 16
    assert np.allclose(
        record["colours"][0, PageClass.KERNEL_TEXT, :3], to_linear(MATERIALS[PageClass.KERNEL_TEXT].colour)
    )
    assert np.allclose(to_linear((0, 10, 255)), [0, 0.003035, 1], atol=1e-5)


def test_owners_next_to_each_other_get_shades_far_apart():
    shades = owner_shade(np.arange(20, dtype=np.uint32)).astype(int)
    assert shades[0] == 128
    assert (np.abs(np.diff(shades[1:])) > 40).all()
    assert ((shades >= 0) & (shades < 256)).all()


@pytest.mark.parametrize(
    ("name", "visions"),
    [("red-green", ["normal", "protanopia", "deuteranopia"]), ("blue-yellow", ["normal", "tritanopia"])],
)
def test_palettes_for_colour_blind_eyes_keep_classes_well_apart(name, visions):
    colours = {c: to_linear(colour_of(c, name)) for c, m in MATERIALS.items() if m.is_body}
    for vision in visions:
        seen = {c: to_lab(np.asarray(VISION[vision]) @ colour) for c, colour in colours.items()}
        for one, other in itertools.combinations(seen, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 22, (vision, one, other)


def test_large_owners_have_distinct_colours_and_the_others_are_dull():
    ramp_lab = [to_lab(to_linear(colour)) for colour in owner_ramp()]
    large = ramp_lab[: len(OWNER_COLOURS) + 1]
    for one, other in itertools.combinations(large, 2):
        assert np.linalg.norm(one - other) > 25
    assert all(np.hypot(*lab[1:]) < 12 < 20 < np.hypot(*own[1:]) for lab in ramp_lab[17:] for own in large[1:])
    for name in PALETTES:
        assert len({tuple(colour) for colour in owner_ramp(name)[:17].tolist()}) == 17


@pytest.mark.parametrize("name", PALETTES)
def test_ramps_grow_lighter_for_every_kind_of_colour_vision(name):
    steps = to_linear(ramp(name))
    for vision in VISION.values():
        light = [to_lab(np.asarray(vision) @ step)[0] for step in steps[::8]]
        assert (np.diff(light) >= 0).all()
        assert light[-1] - light[0] > 70
    assert owner_ramp(name).shape == difference_ramp().shape == (256, 3)


def test_dimmed_classes_keep_their_colour_and_lose_their_body():
    record = table(dimmed=frozenset({PageClass.KERNEL_TEXT}))
    assert record["colours"][0, PageClass.KERNEL_TEXT, 3] < 0.03
    assert record["colours"][0, PageClass.KERNEL_RODATA, 3] == 1
    assert (table(all_glass=True)["colours"][0, :, 3] < 0.03).all()
