"""BTF's format: what is no section, and places of records that come from elsewhere."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from memory_samples import every_kind_of_type

from qemu_bridge.errors import NoTypesError
from qemu_bridge.kernel.symbols.btf_format import read_section


@pytest.mark.parametrize(
    "section",
    [
        b"",
        b"\x9f\xeb\x01",
        b"\0" * 64,
        struct.pack("<HBBIIIII", 0xEB9F, 2, 0, 24, 0, 0, 0, 0),
        struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 0),
        struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 400, 400, 1),
        struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 12, 12, 1) + struct.pack("<III", 0, 31 << 24, 0) + b"\0",
        struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 12, 12, 1) + struct.pack("<III", 0, 4 << 24 | 9, 0) + b"\0",
    ],
)
def test_what_is_no_btf_is_refused(section):
    with pytest.raises(NoTypesError):
        read_section(section)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda starts: starts[:0],
        lambda starts: starts[:1],
        lambda starts: starts[:-1],
        lambda starts: starts + 1,
        lambda starts: -starts,
        lambda starts: starts * (1 << 40),
        lambda starts: starts[::-1],
        lambda starts: np.append(starts, starts[-1]),
        lambda starts: starts.astype(np.float64),
        lambda starts: starts.reshape(1, -1),
        lambda starts: np.full(len(starts), np.iinfo(np.int64).max),
    ],
)
def test_places_of_records_from_elsewhere_are_used_only_where_they_fit(tamper):
    section = every_kind_of_type()
    found = read_section(section)
    assert read_section(section, found.starts).starts is found.starts
    assert np.array_equal(read_section(section, tamper(found.starts)).starts, found.starts)
