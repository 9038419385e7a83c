"""Kernels that are compiled in one process and loaded in another, some of their regions later than others."""

import numpy as np
from part_machines import program

from pixel_cpu.backends.lane_c import is_there, load_prepared, prepare
from pixel_cpu.backends.lane_c.prepared import NOT_COMPILED
from pixel_cpu.backends.lane_c.separate import LEAST_REGIONS
from pixel_cpu.backends.launch import Launch


def test_a_lane_ends_before_a_region_that_is_left_out_until_it_is_added():
    module = program()
    first = prepare(module, "run", {2, 3, 4}, level="-O0")
    for start, reason in ((2, NOT_COMPILED), (0, NOT_COMPILED), (4, NOT_COMPILED), (LEAST_REGIONS - 1, "")):
        outcome = load_prepared(first).run(Launch(8, 32, {"start": start}, {"out": np.ones(8, np.uint32)}))
        assert outcome.traps == (8 if reason else 0) and (not reason or outcome.trap.reason == reason)
    rest = set(range(LEAST_REGIONS)) - {2, 3, 4}
    whole = prepare(module, "run", rest, first, level="-O0")
    out = np.ones(8, np.uint32)
    assert not load_prepared(whole).run(Launch(8, 32, {"start": 0}, {"out": out})).traps
    # The numbers of all regions but the last, and what each adds from `out`.
    assert out.tolist() == [sum(range(LEAST_REGIONS - 1)) + LEAST_REGIONS - 1] * 8
    # Where another kernel begins with the same library, neither has the other's regions.
    less, kernel = prepare(module, "run", {0, 1}, first, level="-O0"), load_prepared(whole)
    for each in (first, less):
        outcome = load_prepared(each).run(Launch(8, 32, {"start": 0}, {"out": out}))
        assert outcome.traps == 8 and outcome.trap.reason == NOT_COMPILED
    assert not kernel.run(Launch(8, 32, {"start": 0}, {"out": out})).traps


def test_what_was_prepared_is_loaded_by_another_process_until_its_library_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = program()
    assert prepare(program(4), "run") is None
    prepared = prepare(module, "run", level="-O0")
    assert is_there(prepared)
    out = np.ones(8, np.uint32)
    load_prepared(prepared).run(Launch(8, 32, {"start": LEAST_REGIONS - 2}, {"out": out}))
    assert out.tolist() == [LEAST_REGIONS - 1] * 8
    for library in tmp_path.rglob("*.so"):
        library.unlink()
    assert not is_there(prepared)
