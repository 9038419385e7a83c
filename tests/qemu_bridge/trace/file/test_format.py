"""The layout of a trace file is the document's, and a unit is packed as it says."""

import zlib
from pathlib import Path

import numpy as np

from qemu_bridge.trace.file.format import CHUNK, FOOTER, HEADER, HOME, SECTION, UNIT, VCPU, Content, Section, pack_unit

ROOT = Path(__file__).resolve().parents[4]


def test_the_document_gives_the_sizes_of_the_records():
    text = (ROOT / "docs/trace-format.md").read_text()
    sizes = {
        "Then a table, {} bytes a section": SECTION,
        "CRC-32 (as zlib's) of the {} bytes before": HEADER,
        "CRC-32 of the {} bytes before": UNIT,
        "VCPU | {} bytes": VCPU,
        "CHUNKS | {} bytes each": CHUNK,
        "HOMES | {} bytes each": HOME,
        "The last {} bytes": FOOTER,
    }
    for sentence, dtype in sizes.items():
        own = 4 if "before" in sentence else 0
        assert sentence.format(dtype.itemsize - own) in text, (sentence, dtype.itemsize)
    assert all(f"| {kind.value} | {kind.name}" in text or f"{kind.name}" in text for kind in Section)


def test_a_unit_is_a_table_and_bodies_under_a_checksum():
    contents = [Content(Section.RUNS, 1, b"x" * 1000, 7), Content(Section.EVENTS, 0, np.arange(2, dtype=np.uint32), 2)]
    header, pieces = pack_unit(b"GBfr", contents, blocks=5)
    body = b"".join(pieces)
    table = np.frombuffer(pieces[0], SECTION)
    assert (int(header["sections"]), int(header["bytes"]), int(header["blocks"])) == (2, len(body), 5)
    assert header["crc"] == zlib.crc32(body) and header["own_crc"] == zlib.crc32(header.tobytes()[:-4])
    assert table["kind"].tolist() == [Section.RUNS, Section.EVENTS] and table["vcpu"].tolist() == [1, 0]
    # What does not become smaller is stored as it is.
    assert table["packed"].tolist() == [1, 0] and table["raw_bytes"].tolist() == [1000, 8]
    assert len(pieces[1]) == int(table["bytes"][0]) < 1000 and pieces[2] == bytes([0, 0, 0, 0, 1, 0, 0, 0])
