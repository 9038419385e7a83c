"""Which QEMU speaks which plugin API."""

import doctest

from tcg_plugin import abi


def test_the_minimum_release_is_the_first_with_the_plugin_api_in_use():
    assert abi.minimum_release() == (9, 2)
    assert [abi.plugin_api(release) for release in ((9, 1), (9, 2), (10, 0), (10, 1), (11, 2))] == [
        0,
        4,
        4,
        5,
        7,
    ]


def test_examples_in_the_docstrings_hold():
    assert doctest.testmod(abi).failed == 0
