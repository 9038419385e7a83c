"""Benchmarks by real launches."""

from dataclasses import replace

import numpy as np
import pytest

from pixel_cpu.benchmark import Bound, Size, Unit, cases, measure
from pixel_cpu.errors import DeviceError, UsageError

FOOTPRINT = 16 << 20


@pytest.fixture(scope="module", autouse=True)
def small_memory():
    """Arrays that are made quickly: how fast memory really is, others test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pixel_cpu.benchmark.rounds.memory_footprint", lambda stand: FOOTPRINT)
        yield


@pytest.fixture(scope="module")
def found(small_memory):
    return measure(["saxpy", "matmul", "crc32"], ["cpu"], size=Size.TINY, rounds=2)


def test_rates_are_work_and_traffic_by_time(found):
    saxpy, matmul, crc32 = found.measurements
    assert (saxpy.work, saxpy.bytes, saxpy.footprint, saxpy.shape) == (2000, 12_000, 8000, "1000")
    # It reads a and b, and reads and writes c, to which it adds.
    assert (matmul.work, matmul.bytes) == (2 * 64**3 + 64**2, 4 * 4 * 64**2)
    assert crc32.unit is Unit.OP and crc32.counted == "counted: 3752 a record" and saxpy.counted == "formula: 2 n"
    for each in found.measurements:
        assert each.rate == pytest.approx(each.work / each.seconds)
        assert each.bytes_per_second == pytest.approx(each.bytes / each.seconds)
        assert each.intensity == each.work / each.bytes
        assert each.is_right and each.error <= 1e-6 and each.threads and each.backend.startswith("lane-c")


def test_a_kernel_stands_under_the_lower_of_its_roofs(found):
    (roofs,) = found.rooflines
    for each in found.measurements:
        slanted, flat = each.intensity * roofs.bandwidth[1 << 20].rate, roofs.compute(each.unit).rate
        assert each.bound is (Bound.MEMORY if slanted < flat else Bound.COMPUTE)
        assert 0 < each.share and each.roof > 0
    assert roofs.memory_footprint == FOOTPRINT and set(roofs.bandwidth) == {1 << 20, FOOTPRINT}


def test_the_share_is_the_median_of_the_rounds_own():
    found = measure(["nbody_step"], ["cpu"], size=Size.TINY, rounds=1)
    (only,) = found.measurements
    assert only.share == pytest.approx(only.rate / only.roof) and only.spread == 0


def test_a_kernel_that_computes_something_else_is_not_right(monkeypatch):
    right = cases.CASES["saxpy"]

    def planted(size):
        task = right.make(size)
        return replace(task, expected={"y": task.expected["y"] * (1 + 1e-4)})

    monkeypatch.setitem(cases.CASES, "saxpy", replace(right, make=planted))
    (only,) = measure(["saxpy"], size=Size.TINY, rounds=1).measurements
    assert not only.is_right and only.error == pytest.approx(1e-4, rel=0.01)


def test_progress_names_what_is_done():
    said = []
    measure(["saxpy", "saxpy"], size=Size.TINY, rounds=2, progress=said.append)
    assert said == ["preparing saxpy, 1000", "looking for the roofs of cpu", "round 1 of 2", "round 2 of 2"]


def test_a_kernel_or_device_that_is_not_there():
    with pytest.raises(UsageError, match="did you mean saxpy"):
        measure(["saxy"])
    with pytest.raises(DeviceError, match="no device 'abacus'"):
        measure(["saxpy"], ["abacus"])


@pytest.mark.long  # drivers in software compile the kernels of the roofs for seconds
def test_a_gpu_is_measured_with_its_own_arrays():
    (only,) = measure(["saxpy"], ["wgpu"], size=Size.TINY, rounds=1).measurements
    assert only.device == "wgpu" and only.is_right and only.threads is None and np.isfinite(only.rate)
