"""Each back end is found by the name of its device."""

import importlib

import pytest

from pixel_cpu import Device, loads
from pixel_cpu.errors import DeviceError, UsageError
from pixel_cpu.ir.limits import MAX_GROUP
from pixel_cpu.ir.model import Module
from pixel_cpu.runtime.backends import MODULES, compile_kernel, limits


@pytest.mark.parametrize("name", MODULES)
def test_a_back_end_has_both_functions(name):
    module = importlib.import_module(MODULES[name])
    assert callable(module.compile_kernel) and callable(module.describe)


def test_another_name_is_refused():
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        compile_kernel("tpu", Module(), "k")


def test_an_option_that_a_back_end_does_not_have_is_refused_by_name():
    kernel = loads("kernel k() {\n return\n}", language="ir").kernel()
    with Device("reference", counts=True) as device:
        with pytest.raises(UsageError, match="'reference' has no option 'counts'; it has timeline"):
            kernel.launch(1, device=device)
        assert device.worker_pid is not None


@pytest.mark.parametrize("name", MODULES)
def test_limits_are_those_of_every_back_end_and_its_own(name):
    found = limits(name)
    assert 0 < found["lanes_of_a_group"] <= MAX_GROUP and all(limit > 0 for limit in found.values())
