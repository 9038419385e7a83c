"""The NumPy reference of Skilling's transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from viewer.view.curve import MAX_ORDER, PAGE_ORDER, brick_offsets, order_for, page_states, to_index, to_xyz, voxelise


@st.composite
def orders_and_indices(draw):
    order = draw(st.integers(1, MAX_ORDER))
    indices = draw(st.lists(st.integers(0, 8**order - 1), min_size=1, max_size=50))
    return order, np.array(indices, np.uint64)


def test_first_order_is_the_gray_code():
    assert to_xyz(np.arange(8), 1).tolist() == [
        [0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1], [1, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("order", range(1, 7))
def test_every_voxel_is_visited_once_by_steps_to_a_face_neighbour(order):
    xyz = to_xyz(np.arange(8**order), order).astype(np.int64)
    assert len(np.unique(xyz, axis=0)) == 8**order
    assert (np.abs(np.diff(xyz, axis=0)).sum(axis=1) == 1).all()
    assert xyz[0].tolist() == [0, 0, 0]
    assert xyz[-1].tolist() == [2**order - 1, 0, 0]


@given(orders_and_indices())
def test_inverse_gives_the_index_back_at_any_order(case):
    order, indices = case
    xyz = to_xyz(indices, order)
    assert xyz.dtype == np.uint32
    assert int(xyz.max()) < 2**order
    assert (to_index(xyz, order) == indices).all()


@given(orders_and_indices(), st.integers(1, MAX_ORDER))
def test_place_of_an_aligned_run_is_the_place_on_the_coarser_curve(case, coarse):
    order, indices = case
    coarse = min(coarse, order)
    shift = order - coarse
    places = to_xyz(indices, order) >> np.uint32(shift)
    assert (places == to_xyz(indices >> np.uint64(3 * shift), coarse)).all()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_aligned_runs_are_cubes(k):
    xyz = to_xyz(np.arange(8**5), 5).reshape(-1, 8**k, 3)
    spread = xyz.max(axis=1) - xyz.min(axis=1)
    assert (spread == 2**k - 1).all()
    assert (xyz.min(axis=1) % 2**k == 0).all()


def test_pages_turn_in_twenty_four_ways():
    xyz = to_xyz(np.arange(8**7), 7).reshape(-1, 4096, 3)
    assert len({(page - page.min(axis=0)).tobytes() for page in xyz}) == 24


def test_any_shape_is_kept():
    assert to_xyz(5, 3).shape == (3,)
    assert to_xyz(np.zeros((2, 4), int), 3).shape == (2, 4, 3)
    assert to_index(np.zeros((2, 4, 3), int), 3).shape == (2, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: to_xyz(8, 1),
        lambda: to_xyz(-1, 1),
        lambda: to_index([2, 0, 0], 1),
        lambda: to_xyz(0, 17),
        lambda: to_xyz(0, 0),
    ],
)
def test_what_lies_outside_the_cube_is_refused(call):
    with pytest.raises(UsageError, match="use"):
        call()


def test_order_for_bytes():
    assert [order_for(n) for n in (1, 8, 9, 4096, 128 << 20, (128 << 20) + 1)] == [0, 1, 2, 4, 9, 10]


def test_voxelise_puts_x_fastest():
    cube = voxelise(np.arange(8, dtype=np.uint8), 1)
    assert cube[1, 0, 0] == 1  # index 1 lies at z = 1
    assert cube[0, 0, 1] == 7  # the last at x = 1


@pytest.mark.parametrize("order", range(1, MAX_ORDER - PAGE_ORDER))
def test_a_state_and_one_table_place_every_byte_of_a_page_at_every_order(order):
    random = np.random.default_rng(order)
    pages = np.unique(np.append(random.integers(0, 8**order, 40, np.uint64), [0, 8**order - 1])).astype(np.uint64)
    bytes_of = pages[:, None] * np.uint64(4096) + np.arange(4096, dtype=np.uint64)
    xyz = to_xyz(bytes_of, order + PAGE_ORDER)
    states = np.broadcast_to(page_states(pages, order)[:, None], bytes_of.shape)
    assert (xyz >> np.uint32(PAGE_ORDER) == to_xyz(pages, order)[:, None]).all()
    assert (brick_offsets(xyz & np.uint32(15), states) == np.arange(4096)).all()


def test_there_are_twenty_four_states():
    states = np.unique(page_states(np.arange(8**4), 4))
    assert len(states) == 24
    assert (states >> 2 & 3 < 3).all()
    assert int(states.max()) < 32


def test_coarser_voxels_of_a_page_are_in_the_same_table():
    xyz = np.random.default_rng(1).integers(0, 16, (500, 3))
    states = page_states(np.random.default_rng(2).integers(0, 512, 500), 3)
    for level in (1, 2, 3):
        coarse = brick_offsets(xyz >> level << level, states) >> 3 * level
        assert (coarse == brick_offsets(xyz, states) >> 3 * level).all()
