"""The tables that are asked about are overlays, and their columns are fields of these."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.tables import TABLES
from qemu_bridge.gateway.understanding.vocabulary import CONCEPTS
from qemu_bridge.introspection.overlays.registry import BUILT_IN


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.overlay)
def test_every_column_is_a_field_of_the_overlay(table):
    columns = {column.name for column in table.columns.values()} | {
        condition.column for condition, _ in table.conditions.values()
    }
    columns |= {column for column in (table.owner, table.text, table.path) if column}
    overlay = next(each for each in BUILT_IN if each.name == table.overlay)
    assert columns <= {column.partition(":")[0] for column in overlay.columns}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.overlay)
def test_every_concept_has_words(table):
    kinds = {"uid", "port_number", "remote_number", "cpu_number"}
    assert {*table.nouns, *table.conditions, *table.columns, *table.around, *table.implies} - kinds <= {
        *CONCEPTS,
        "cpu",
    }
    assert not table.size or table.size in table.columns
