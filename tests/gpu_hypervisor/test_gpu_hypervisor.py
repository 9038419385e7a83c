"""The front of the package."""

import subprocess
import sys

import pytest

import gpu_hypervisor


def test_names_are_there_and_others_are_not():
    assert all(getattr(gpu_hypervisor, name) for name in gpu_hypervisor.__all__)
    assert set(gpu_hypervisor.__all__) <= set(dir(gpu_hypervisor))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = gpu_hypervisor.Nothing


def test_the_scheduler_loads_no_device():
    program = (
        "import sys, gpu_hypervisor.scheduler; print([n for n in ('numpy', 'wgpu', 'pixel_cpu') if n in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
