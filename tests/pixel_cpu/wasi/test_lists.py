"""Arguments and environment, one list for each lane or one for all."""

import numpy as np
import pytest
from wasi_runs import Ours, numbers, wasi

from pixel_cpu.wasi.abi import Errno
from pixel_cpu.wasi.lists import Inputs

LANES = 5


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("is_moved", [True, False])
def test_every_lane_gets_its_texts_and_pointers_to_them(is_shared, is_moved):
    lists = (
        [["prog", "é", ""]] * LANES
        if is_shared
        else [["prog", *"abcd"[:lane], "x" * 300 * lane] for lane in range(LANES)]
    )
    with wasi(LANES, lists[0] if is_shared else lists, {"A": "1", "B": "="}) as host:
        ours = Ours(host, LANES)
        place = np.arange(LANES) * 4 if is_moved else 0
        assert not ours.call_all("args_sizes_get", 0, 4).any() and numbers(ours, 0) == [len(each) for each in lists]
        assert not ours.call_all("args_get", 1000 + place, 2000 + place).any()
        for lane, row in enumerate(ours.rows):
            at = 1000 + (lane * 4 if is_moved else 0)
            pointers = row[at : at + 4 * len(lists[lane])].copy().view("<u4")
            texts = [
                row[pointer : pointer + len(text.encode()) + 1].tobytes()
                for pointer, text in zip(pointers, lists[lane], strict=True)
            ]
            assert texts == [text.encode() + b"\0" for text in lists[lane]]
        ours.call_all("environ_sizes_get", 0, 4)
        ours.call_all("environ_get", 0, 100)
        assert ours.rows[3, 100:108].tobytes() == b"A=1\0B==\0"


def test_lists_that_do_not_fit_are_refused():
    with wasi(LANES, [["a" * lane] for lane in range(LANES)]) as host:
        ours = Ours(host, LANES)
        assert ours.call_all("args_get", 0, 65533).tolist() == [0, 0, 0, Errno.FAULT, Errno.FAULT]
        assert (
            set(ours.call_all("args_get", 65533, 0)) == set(ours.call_all("args_sizes_get", 0, 65533)) == {Errno.FAULT}
        )


def test_no_texts_need_no_room():
    with wasi(LANES) as host:
        ours = Ours(host, LANES)
        assert not ours.call_all("args_get", 65536, 65536).any() and not ours.call_all("environ_sizes_get", 0, 4).any()
        assert numbers(ours, 0) == numbers(ours, 4) == [0] * LANES


def test_pieces_of_input_are_one_or_one_each():
    assert Inputs([b"ab", b"", b"c"]).of(np.array([2])).tolist() == [2] and Inputs([b"ab"]).of(
        np.array([2])
    ).tolist() == [0]
