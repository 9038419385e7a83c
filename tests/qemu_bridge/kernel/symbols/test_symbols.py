"""What the package offers."""

from __future__ import annotations

import qemu_bridge.kernel.symbols as symbols


def test_every_public_name_is_there():
    assert all(hasattr(symbols, name) for name in symbols.__all__)
    assert symbols.__all__ == sorted(symbols.__all__)
