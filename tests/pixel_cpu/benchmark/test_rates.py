"""Rates of devices, measured and kept."""

import pytest

from pixel_cpu.benchmark import rates
from pixel_cpu.benchmark.rates import kept_rates, measure_rates


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "glassbox" / "kernels"


def test_rates_are_kept_for_device_and_machine(own_cache, monkeypatch):
    assert kept_rates("cpu") is None
    found = measure_rates("cpu")
    assert found.flops > 1e8 and found.bytes_per_second > 1e8 and found.footprint >= 128 << 20
    assert kept_rates("cpu") == found and kept_rates("reference") is None
    monkeypatch.setattr(rates, "processor_name", lambda: "another")
    assert kept_rates("cpu") is None


def test_a_damaged_file_counts_as_none(own_cache):
    own_cache.mkdir(parents=True)
    (own_cache / "rates.json").write_text('{"cpu": 3')
    assert kept_rates("cpu") is None
