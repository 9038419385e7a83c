"""The symbol cache: whole files or none, damaged ones made anew, no folder no harm."""

from __future__ import annotations

import gzip
import json
import stat

import numpy as np
import pytest

from qemu_bridge.kernel.symbols import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("GLASSBOX_SYMBOL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "glassbox" / "symbols"


def test_columns_come_back_as_they_were(folder):
    columns = {"addresses": np.arange(5, dtype=np.uint64), "text": np.frombuffer(b"abc", np.uint8)}
    assert cache.load_columns("key", ("addresses", "text")) is None
    cache.store_columns("key", columns)
    found = cache.load_columns("key", ("addresses", "text"))
    assert {name: (array.tolist(), array.dtype) for name, array in found.items()} == {
        name: (array.tolist(), array.dtype) for name, array in columns.items()
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and [path.name for path in folder.iterdir()] == [
        f"key.r{cache.REVISION}.npz"
    ]


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:60], lambda data: data[:200] + b"x" + data[201:]]
)
def test_damaged_columns_count_as_missing(folder, damage):
    cache.store_columns("key", {"addresses": np.arange(100)})
    path = folder / f"key.r{cache.REVISION}.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load_columns("key", ("addresses",)) is None


def test_columns_that_lack_a_name_or_hold_objects_count_as_missing(folder):
    cache.store_columns("key", {"addresses": np.arange(3)})
    assert cache.load_columns("key", ("addresses", "text")) is None
    np.savez(folder / f"bad.r{cache.REVISION}.npz", addresses=np.array([{}], object))
    assert cache.load_columns("bad", ("addresses",)) is None


def test_a_document_is_made_once():
    made = []

    def make():
        made.append(1)
        return {"symbols": {}}

    path = cache.find_or_make_json("kernel", make)
    assert cache.find_or_make_json("kernel", make) == path and made == [1]
    assert json.loads(gzip.decompress(path.read_bytes())) == {"symbols": {}}


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:-3], lambda data: data[:15] + b"\xff\xff" + data[17:], lambda data: b"plain"],
)
def test_a_damaged_document_is_made_anew(damage):
    path = cache.find_or_make_json("kernel", lambda: {"symbols": {str(number): number for number in range(50)}})
    path.write_bytes(damage(path.read_bytes()))
    assert cache.find_or_make_json("kernel", lambda: {"symbols": {}}) == path
    assert json.loads(gzip.decompress(path.read_bytes())) == {"symbols": {}}


def test_where_the_folder_cannot_be_written_a_temporary_one_serves(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path / "file" / "below"))
    cache.store_columns("key", {"addresses": np.arange(3)})
    path = cache.find_or_make_json("kernel", lambda: {"symbols": {}})
    assert json.loads(gzip.decompress(path.read_bytes())) == {"symbols": {}} and tmp_path not in path.parents


def test_files_of_others_in_the_folder_are_never_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path))
    for number in range(cache.KEPT_FILES + 5):
        (tmp_path / f"letter{number}").write_text("dear")
    cache.store_columns("key", {"numbers": np.arange(3)})
    assert len(list(tmp_path.iterdir())) == cache.KEPT_FILES + 6
