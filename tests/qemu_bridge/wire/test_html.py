"""Tables in a notebook's cell."""

from qemu_bridge.wire.records import Answer, Grade, OverlayTable, Symbol


def test_records_are_rows_with_addresses_in_hex_and_what_a_guest_wrote_is_escaped():
    html = Answer((Symbol("<b>x</b>", 0xFFFF, "T"),), Grade.PAUSED, skipped=("<i>",))._repr_html_()
    assert "<td>0xffff</td>" in html and "&lt;b&gt;x&lt;/b&gt;" in html and "<b>x" not in html
    assert "1 rows, paused" in html and "incomplete: &lt;i&gt;" in html


def test_an_overlay_shows_its_rows_and_a_long_table_says_that_it_is_cut():
    table = OverlayTable("x", ("a",), tuple({"a": number} for number in range(300)), True, ())
    html = Answer(table)._repr_html_()
    assert html.count("<tr>") == 201 and "the first 200 are shown" in html
    assert "0 rows" in Answer(())._repr_html_()
