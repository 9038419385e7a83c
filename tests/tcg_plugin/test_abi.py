"""Which QEMU speaks which plugin API."""

import doctest

from tcg_plugin import abi
from tcg_plugin.layout import Capability


def test_capabilities_grow_with_the_version():
    assert doctest.testmod(abi).failed == 0
    assert [abi.capabilities(api).bit_count() for api in range(3, 8)] == [0, 1, 3, 4, 4]
    assert [abi.first_release(each) for each in Capability] == [(9, 2), (10, 1), (10, 1), (11, 0)]
    assert abi.first_release(Capability.WRITE_REGISTERS | Capability.SET_PC) == (11, 0)


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
