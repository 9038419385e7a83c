"""The software GPU: its vectors, and what it reaches."""

import pytest

from gpu_hypervisor.operations import find_operation


def test_the_software_gpu_says_its_vectors():
    assert find_operation("simd_info").run().lane_c.width >= 1


@pytest.mark.long
def test_the_software_gpu_is_measured_one_at_a_time():
    found = find_operation("vs_hardware").run(("saxpy",), "h100")
    assert found.benchmark.measurements[0].is_right and {each.card for each in found.hardware} == {"h100"}
    assert find_operation("matmul_optimized").run().measurements[0].kernel == "matmul"
