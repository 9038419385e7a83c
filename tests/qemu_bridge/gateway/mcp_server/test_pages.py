"""Results are cut to pages that say where to go on."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.gateway.mcp_server.pages import LIMIT, MOST_BYTES, cut_to_page


def test_what_is_short_stays_as_it_is():
    assert cut_to_page({"value": [1, 2], "grade": "live"}) == {"value": [1, 2], "grade": "live"}


def test_a_long_list_has_a_page_and_a_pointer_to_the_next():
    whole = {"value": {"rows": [{"n": n} for n in range(100)], "columns": ["n"]}}
    page = cut_to_page(whole, offset=90, limit=7)
    assert [row["n"] for row in page["value"]["rows"]] == list(range(90, 97))
    assert page["page"] == {"of": "value.rows", "offset": 90, "shown": 7, "total": 100, "next_offset": 97}
    assert "next_offset" not in cut_to_page(whole, offset=97)["page"]


def test_pages_one_after_the_other_are_the_whole():
    rows, offset, found = list(range(95)), 0, []
    while offset is not None:
        page = cut_to_page({"value": rows}, offset, 10)
        found += page["value"]
        offset = page["page"].get("next_offset")
    assert found == rows


def test_long_rows_make_short_pages():
    page = cut_to_page({"value": ["x" * 2000] * 100}, limit=100)
    assert len(msgspec.json.encode(page)) <= MOST_BYTES and page["page"]["total"] == 100


def test_long_texts_and_other_long_lists_say_what_is_missing():
    page = cut_to_page({"text": "y" * 10_000, "rows": list(range(200)), "others": list(range(90))})
    assert page["text"].endswith("letters more; ask for less at a time)") and len(page["text"]) < 7000
    assert page["others"][-1] == f"… ({90 - LIMIT} more)" and len(page["rows"]) == LIMIT


@given(st.recursive(st.integers() | st.text(max_size=8), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner)),
       st.integers(0, 50), st.integers(1, 50))  # fmt: skip
def test_any_result_has_a_page(value, offset, limit):
    assert isinstance(cut_to_page(value, offset, limit), dict)
