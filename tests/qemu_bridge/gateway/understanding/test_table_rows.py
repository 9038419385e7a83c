"""Conditions are read from the words of a question."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.reading import Reading
from qemu_bridge.gateway.understanding.table_rows import READERS, Rows, join
from qemu_bridge.gateway.understanding.tables import TABLES
from qemu_bridge.gateway.understanding.tokens import read_tokens


@pytest.mark.parametrize(
    ("overlay", "text", "conditions"),
    [
        ("processes", "processes with more than 3 threads", ["thread_count>3"]),
        ("processes", "processes that are not root's", ["uid!=0"]),
        ("sockets", "sockets on port 22 or 80", ["local=*:22|*:80"]),
        ("sockets", "tcp or udp sockets", ["protocol=tcp*|udp*"]),
        ("open-files", "open files of init and crond", ["pid=1|97"]),
        ("areas", "writable and executable areas", ["permissions=?w??", "permissions=??x?"]),
    ],
)
def test_words_are_conditions(overlay, text, conditions, names):
    table = next(each for each in TABLES if each.overlay == overlay)
    reading, rows = Reading(read_tokens(text, names), names, text), Rows()
    for read in READERS:
        read(table, reading, rows)
    join(table, reading, rows)
    assert list(map(str, rows.where)) == conditions
