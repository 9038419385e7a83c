"""Order and filter of tables."""

from __future__ import annotations

from viewer.app.table_view import TableView

ROWS = ((1, "init", 5), (2, "kthreadd", None), (30, "Sh", 9))


def test_rows_keep_their_order_until_a_column_is_asked_for():
    view = TableView()
    assert view.rows(ROWS, lambda row: row, None) == list(ROWS)
    assert [row[0] for row in view.rows(ROWS, lambda row: row, 2)] == [1, 30, 2]
    assert [row[0] for row in view.rows(ROWS, lambda row: row, 1, True)] == [30, 2, 1]
    assert [row[0] for row in view.rows([(1, 5), (2, "x"), (3, None)], lambda row: row, 1)] == [1, 2, 3]


def test_a_filter_looks_into_every_cell_and_a_new_table_is_filtered_anew():
    view = TableView("SH")
    assert view.rows(ROWS, lambda row: row, None) == [ROWS[2]]
    assert view.rows((*ROWS, (40, "ash", 0)), lambda row: row, None) == [ROWS[2], (40, "ash", 0)]
    view.words = "3"
    assert view.rows(ROWS, lambda row: row, None) == [ROWS[2]]
