"""Blocks unpack to no more than they may have, and damaged ones are refused, whatever the codec."""

from __future__ import annotations

import random

import pytest
from dump_files import PACK, PAGE

from qemu_bridge.dumps.codecs import BLOCKS
from qemu_bridge.errors import UsageError

WORDS = bytes(random.Random(1).choices(b"abc", k=PAGE))


@pytest.mark.parametrize("flag", BLOCKS)
def test_blocks_come_back_bounded(flag):
    assert BLOCKS[flag](PACK[flag](WORDS), PAGE, "x") == WORDS
    with pytest.raises(UsageError, match="x is damaged"):
        BLOCKS[flag](PACK[flag](bytes(64 * PAGE)), PAGE, "x")


@pytest.mark.parametrize("flag", BLOCKS)
def test_damaged_blocks_are_refused_or_bounded(flag):
    chance = random.Random(flag)
    for _ in range(300):
        block = bytearray(PACK[flag](WORDS))
        block[chance.randrange(len(block))] = chance.randrange(256)
        try:
            assert len(BLOCKS[flag](bytes(block[: chance.randint(1, len(block))]), PAGE, "x")) <= PAGE
        except UsageError as error:
            assert "x is damaged" in str(error)
