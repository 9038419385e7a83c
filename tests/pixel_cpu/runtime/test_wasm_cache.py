"""Translated modules in the cache: they run without decoder and compiler, and only what is the user's own is read."""

import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.backends.lane_c import separate
from pixel_cpu.runtime import wasm_code, wasm_translation
from pixel_cpu.runtime.rounds import Reply, Rounds
from pixel_cpu.runtime.wasm_cache import fetch, keep, key_of

TEXT = """(module (import "env" "ask" (func $ask (param i32) (result i32))) (memory 1)
  (func $other (export "other") (result i32) (i32.const 5))
  (func $down (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $ask (local.get 0)) (call $down (i32.sub (local.get 0) (i32.const 1))))) (else (call $other)))))"""


class Host:
    def serve(self, request):
        return Reply((request.operands[0] * 10,))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_a_module_runs_from_the_cache(monkeypatch):
    monkeypatch.setattr(separate, "LEAST_REGIONS", 2)
    data = assemble(TEXT)
    with px.Device("cpu", isolated=False) as device:
        for _ in range(2):
            program = px.wasm(data)
            rounds = Rounds(program.instances(2, device=device), "down", [3], host=Host())
            rounds.run()
            assert rounds.results[0].tolist() == [65, 65]
            # Nothing is translated from the second time on.
            monkeypatch.setattr(wasm_code, "interpreted", None)
            monkeypatch.setattr(wasm_translation, "resumable", None)
        assert not program.module.bodies[0].instructions
        # What was not kept is decoded after all.
        assert program.call("other", device=device).tolist() == [5]


def test_only_what_nobody_else_could_write_is_read(folder):
    keep("k", [1, 2])
    assert fetch("k") == [1, 2] and fetch("other") is None
    (path,) = folder.rglob("*.program")
    path.chmod(0o666)
    assert fetch("k") is None
    path.chmod(0o600)
    path.write_bytes(b"nonsense")
    assert fetch("k") is None


def test_the_name_depends_on_the_bytes_and_the_options():
    assert len({key_of(b"a"), key_of(b"b"), key_of(b"a", 1), key_of(b"a", 1, 2)}) == 4
