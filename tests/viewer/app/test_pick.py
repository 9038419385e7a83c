"""What is under the cursor, in words."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.wire.records import PageClass
from viewer.app.pick import describe_byte, draw_pick_box, pick_at, pick_lines, place_box
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.view.camera import Camera

SIZE = (160, 90)


@pytest.fixture
def renderer(device, source):
    return Renderer(load_scene(source, device))


def test_a_pixel_tells_its_page_owner_and_bytes(renderer, source):
    picks = renderer.pick(Camera(), SIZE)
    entries = source.entries[np.maximum(picks.pages, 0)]
    rows, columns = np.nonzero((picks.pages >= 0) & (entries["page_class"] == PageClass.PROCESS_TEXT))
    picked = pick_at(renderer, [source.ram], Camera(), SIZE, (int(columns[0]), int(rows[0])))
    page, offset = int(picks.pages[rows[0], columns[0]]), int(picks.offsets[rows[0], columns[0]])
    assert (picked.page, picked.offset, picked.page_class) == (page, offset, PageClass.PROCESS_TEXT)
    assert picked.owner == source.owners[int(source.entries["owner_id"][page])]
    assert picked.content == source.ram.memory[page, offset & ~15 : (offset & ~15) + 16].tobytes()
    assert picked.physical is None
    assert f"text of {picked.owner.name} ({picked.owner.pid})" in pick_lines(picked)[0]


@pytest.mark.parametrize("pixel", [(0, 0), (-1, 5), (160, 5), (5, 90)])
def test_air_and_places_outside_show_nothing(renderer, source, pixel):
    assert pick_at(renderer, [source.ram], Camera(), SIZE, pixel) is None


def test_addresses_skip_the_hole_below_four_gib(renderer, source):
    class Ram:
        layout = RamLayout.from_rule("q35", 4 << 30)
        view = source.ram.view
        resident_pages = source.ram.resident_pages

    assert describe_byte(renderer.scene, Ram(), 5, 0x123).physical == 0x5123
    beyond = describe_byte(renderer.scene, Ram(), (3 << 30) >> 12, 1)
    assert beyond.physical == (5 << 30) + 1
    assert beyond.page_class is PageClass.OTHER  # past the page map
    assert "physical 0x140000001" in pick_lines(beyond)[1]


def test_a_class_of_a_newer_release_is_other(renderer, source):
    source.entries["page_class"][7] = 200
    renderer.scene.set_page_map(source.page_map())
    assert describe_byte(renderer.scene, source.ram, 7, 0).page_class is PageClass.OTHER


def test_the_box_marks_the_byte_and_stays_in_the_picture(renderer, source):
    one, other = (draw_pick_box(describe_byte(renderer.scene, source.ram, 100, byte), 720) for byte in (0x40, 0x41))
    assert one.dtype == np.uint8
    assert one.shape == other.shape
    assert not np.array_equal(one, other)
    assert (one[..., :3] <= one[..., 3:]).all()  # premultiplied
    assert place_box((100, 100), (50, 20), (640, 360)) == (118, 118)
    assert place_box((630, 350), (50, 20), (640, 360)) == (562, 312)
    assert place_box((5, 5), (700, 400), (640, 360)) == (0, 0)


def test_the_box_is_drawn_over_the_picture(renderer, source):
    import wgpu

    from viewer.render.readback import RGBA, read_texture

    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = renderer.device.create_texture(size=(*SIZE, 1), format="rgba8unorm", usage=usage)
    renderer.draw_pass(Camera(), SIZE)
    renderer.set_box(np.full((10, 20, 4), 255, np.uint8), (30, 40))
    renderer.present(target.create_view(), SIZE)
    shown = read_texture(renderer.device, target, RGBA)[..., :3]
    assert (shown[40:50, 30:50] >= 254).all()
    assert (shown[39, 30:50] < 254).any()
    renderer.set_box(None)
    renderer.present(target.create_view(), SIZE)
    assert (read_texture(renderer.device, target, RGBA)[40:50, 30:50, :3] < 254).any()
