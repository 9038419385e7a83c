"""Peaks of cards, and shares of them with the digits that they have."""

import pytest
from benchmarks import a_benchmark

from pixel_cpu.benchmark.hardware import CARDS, compare, digits_of, find_card, percent, significant
from pixel_cpu.errors import UsageError


def test_the_share_that_was_once_claimed_a_thousand_times_too_large():
    claimed = 5.8e9  # flop/s, said to be "19.5 % of an RTX 3080"
    peak = find_card("RTX 3080").f32_flops
    assert percent(claimed, peak, 3) == "0.0195 %"
    assert percent(0.195 * peak, peak, 3) == "19.5 %"


@pytest.mark.parametrize(
    ("name", "cores", "boost_hz", "bus_bits", "bits_a_second"),
    [
        ("RTX 3080", 8704, 1.71e9, 320, 19e9),
        ("A100", 6912, 1.41e9, 5120, 3.186e9),
        ("H100", 16896, 1.98e9, 5120, 5.23e9),
    ],
)
def test_peaks_follow_from_cores_and_clocks(name, cores, boost_hz, bus_bits, bits_a_second):
    card = find_card(name)
    assert card.f32_flops == pytest.approx(2 * cores * boost_hz, rel=0.01)
    assert card.bytes_per_second == pytest.approx(bus_bits * bits_a_second / 8, rel=0.01)
    assert any(year in card.source for year in ("2020", "2021", "2022", "2023"))


def test_cards_are_found_however_they_are_spelt():
    assert find_card("rtx3080") is find_card("RTX 3080") is find_card("rtx-3080")
    with pytest.raises(UsageError, match="did you mean H100"):
        find_card("h10")
    with pytest.raises(UsageError, match="RTX 3080, A100, H100"):
        find_card("abacus")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.019463, 3, "0.0195"),
        (0.00000123, 2, "0.0000012"),
        (1234.5, 3, "1230"),
        (1234.5, 2, "1200"),
        (9.996, 3, "10.0"),
        (0.0996, 2, "0.10"),
        (100, 3, "100"),
        (0, 3, "0"),
        (-12.34, 2, "-12"),
        (float("inf"), 2, "inf"),
    ],
)
def test_significant_digits(value, digits, text):
    assert significant(value, digits) == text


def test_what_is_measured_badly_has_fewer_digits():
    assert digits_of(0.001) == 3 and digits_of(0.2) == 2


def test_each_card_is_compared_with_roofs_and_with_kernels_on_floats():
    found = a_benchmark()
    rows = compare(found, [find_card("a100")])
    assert [row.what for row in rows] == ["f32 arithmetic", "memory", "saxpy", "matmul"]
    for row, peak in zip(rows, (19.5e12, 2039e9, 19.5e12, 19.5e12), strict=True):
        assert row.peak == peak and float(row.share.split()[0]) == pytest.approx(100 * row.rate / peak, rel=0.05)
    assert {row.card for row in compare(found)} == {card.name for card in CARDS}
