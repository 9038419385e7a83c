"""Fields of payloads: read as they were written, and nothing beyond the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_hypervisor.channel.frames import MOST_PAYLOAD
from gpu_hypervisor.channel.payload import PayloadError, Reader, Writer


@given(st.integers(0, 255), st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1), st.text(max_size=50))
def test_fields_are_read_as_they_were_written(small, middle, large, text):
    text = text.encode("utf-8", "replace").decode()
    reader = Reader(Writer().u8(small).u16(small).u32(middle).u64(large).text(text).content)
    assert (reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.text()) == (small, small, middle, large, text)
    reader.end()


@given(st.binary(max_size=40))
def test_what_is_too_short_is_told(content):
    reader = Reader(content)
    with pytest.raises(PayloadError, match=r"before its fields|no UTF-8"):
        for _ in range(60):
            reader.text()
            reader.u64()


def test_what_stands_behind_the_last_field_is_told():
    with pytest.raises(PayloadError, match="2 bytes"):
        Reader(b"ab").end()


def test_a_text_is_cut_at_a_character_where_a_payload_ends():
    content = Writer().u16(7).text("é" * 4000).content
    assert MOST_PAYLOAD - 1 <= len(content) <= MOST_PAYLOAD
    reader = Reader(content)
    assert reader.u16() == 7 and set(reader.text()) == {"é"}
