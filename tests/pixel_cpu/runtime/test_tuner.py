"""A planted wrong candidate is refused, a planted slow one is not chosen, and a choice is kept."""

import numpy as np
import pytest

import pixel_cpu
from pixel_cpu.errors import LaunchError
from pixel_cpu.runtime.tuner import Candidate, Problem, tune

TEXT = """
kernel triple() {{
  buffer @x: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %turns = const {turns} : u32
  loop ^L (%n: u32 = %zero) {{
    %c = lt %n, %turns : bool
    if %c {{
      yield
    }} else {{
      break ^L
    }}
    %next = add %n, %one : u32
    continue ^L %next
  }}
  %v = load @x %i trap : u32
  %factor = const {factor} : u32
  %w = mul %v, %factor : u32
  store @x %i, %w trap
  return
}}
"""
SIZE = 2000


def candidate(name, *, turns=0, factor=3, lanes=SIZE):
    kernel = pixel_cpu.loads(TEXT.format(turns=turns, factor=factor), language="ir").kernel()
    return Candidate(name, kernel, lanes)


PROBLEM = Problem(
    lambda device: {"x": device.array(np.arange(SIZE, dtype="u4"))}, {"x": np.arange(SIZE, dtype="u4") * np.uint32(3)}
)


@pytest.fixture
def device(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pixel_cpu.Device("reference", isolated=False) as found:
        yield found


def test_a_wrong_one_is_refused_a_slow_one_not_chosen_and_the_choice_is_kept(device):
    planted = [
        candidate("wrong", factor=2),
        candidate("slow", turns=100),
        candidate("right"),
        candidate("outside", lanes=SIZE + 1),
    ]
    found = tune("triple", planted, PROBLEM, device, rounds=3)
    assert found.best.name == "right" and set(found.seconds) == {"slow", "right"} and not found.was_kept
    assert (
        found.refused["wrong"] == "x[1] is 2 where 3 is right"
        and "index 2000 outside x[2000]" in found.refused["outside"]
    )
    assert found.seconds["slow"] > found.seconds["right"]
    again = tune("triple", planted, PROBLEM, device)
    assert again.best.name == "right" and again.was_kept
    assert not tune("triple", planted[1:], PROBLEM, device, rounds=1).was_kept
    assert not tune("triple", planted, PROBLEM, device, rounds=1, shape="other").was_kept


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff"])
def test_a_damaged_file_costs_a_measurement_only(device, tmp_path, content):
    (tmp_path / "glassbox/kernels").mkdir(parents=True)
    (tmp_path / "glassbox/kernels/tuned.json").write_bytes(content)
    assert tune("triple", [candidate("right")], PROBLEM, device, rounds=1).best.name == "right"


def test_no_right_candidate_is_an_error_with_the_reasons(device):
    with pytest.raises(LaunchError, match=r"wrong: x\[1\] is 2 where 3 is right"):
        tune("triple", [candidate("wrong", factor=2)], PROBLEM, device)
