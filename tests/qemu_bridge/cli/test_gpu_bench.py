"""``glassbox gpu devices|bench|simd-info``: what runs kernels, how fast, and in which instructions."""

import json

import pytest
from PIL import Image
from support import glassbox


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_devices_have_names_limits_and_rates_once_they_are_measured():
    answer = glassbox("gpu", "devices", "--measure", "--device", "cpu", "--device", "reference")
    assert "measuring cpu" in answer.stderr and "measuring reference" not in answer.stderr
    assert "wgpu" not in answer.stdout
    lines = answer.stdout.splitlines()
    assert "F32 GFLOP/S" in lines[0] and any(line.startswith("lanes of a group") for line in lines)
    devices = {device["name"]: device for device in json.loads(glassbox("gpu", "devices", "--json").stdout)}
    assert devices["cpu"]["rates"]["flops"] > 1e8 and devices["reference"]["rates"] is None
    assert devices["cpu"]["limits"]["lanes_of_a_group"] == 1024 and devices["cpu"]["limits"]["threads"] >= 1
    assert devices["wgpu"]["limits"]["bytes_of_a_buffer"] > 1 << 20


def test_a_benchmark_says_what_it_measured(tmp_path):
    path = tmp_path / "roofline.png"
    words = ("gpu", "bench", "saxpy", "nbody_step", "--rounds", "1", "--vs-hardware", "rtx3080", "-o", str(path))
    answer = glassbox(*words)
    assert answer.returncode == 0, answer.stderr
    assert "preparing saxpy, 4194304" in answer.stderr and "load average" in answer.stderr
    assert "formula: 18 n^2 + 12 n" in answer.stdout and "Gflop/s" in answer.stdout and "RTX 3080" in answer.stdout
    with Image.open(path) as picture:
        assert picture.size == (1200, 720)
    again = glassbox(*words)
    assert again.returncode == 2 and "--force" in again.stderr


@pytest.mark.long
def test_a_benchmark_is_json():
    found = json.loads(glassbox("gpu", "bench", "histogram", "--rounds", "1", "--vs-hardware", "--json").stdout)
    (only,) = found["measurements"]
    assert only["kernel"] == "histogram" and only["is_right"] and only["rate"] > 0 and only["error"] == 0
    cards = {row["card"]: row for row in found["hardware"] if row["what"] == "f32 arithmetic"}
    assert set(cards) == {"RTX 3080", "A100", "H100"}
    for row in cards.values():
        assert float(row["share"].removesuffix(" %")) == pytest.approx(100 * row["rate"] / row["peak"], rel=0.06)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("saxy",), "did you mean saxpy?"),
        (("--vs-hardware", "rtx3081"), "did you mean RTX 3080?"),
        (("--rounds", "0"), "rounds are 1 to 1000"),
        (("--device", "reference"), "invalid choice"),
    ],
)
def test_what_is_not_there_is_a_usage_error(words, sentence):
    answer = glassbox("gpu", "bench", *words)
    assert answer.returncode == 2 and sentence in answer.stderr


def test_simd_info_names_extensions_compiler_and_what_lane_c_uses():
    found = json.loads(glassbox("gpu", "simd-info", "--json").stdout)
    answer = glassbox("gpu", "simd-info")
    assert found["compiler_version"] in answer.stdout and found["processor"] in answer.stdout
    for each in found["extensions"]:
        (line,) = [line for line in answer.stdout.splitlines() if line.startswith(each["name"] + "  ")]
        assert line.split()[-2:] == ["yes" if each[key] else "no" for key in ("in_processor", "in_compiler")]
    assert f"{found['lane_c']['width']} lanes of f32" in answer.stdout
