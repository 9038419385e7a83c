"""What a builder makes of texts, in this process."""

import numpy as np
import pytest
from hypervisor_kernels import SAXPY, WORK

import pixel_cpu
from gpu_hypervisor.admission import BuildRequest, Built, Failure
from gpu_hypervisor.admission.builder import build


def request(text, language="gpk", kernel=None, threads=None):
    return BuildRequest("reference", language, text, kernel, threads)


def test_a_kernel_is_proved_and_its_text_runs():
    built = build(request(SAXPY))
    assert isinstance(built, Built) and (built.kernel, built.group) == ("saxpy", 256)
    assert built.proved + built.checked == 3 and built.is_latency_critical and not built.loops and built.operations > 5
    x, y = np.arange(10, dtype="f4"), np.ones(10, "f4")
    pixel_cpu.loads(built.text, language="ir").kernel().launch(10, a=2.0, x=x, y=y, device="reference")
    assert (y == 2 * x + 1).all()
    assert build(request(WORK, "ir", threads=64)).group == 64 and build(request(WORK, "ir")).loops == 1


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (request(SAXPY, kernel="other"), "UsageError", "no kernel 'other'"),
        (request(SAXPY, threads=5000), "UsageError", "not 5000"),
        (request(WORK.replace("loop", "lop"), "ir"), "SourceError", "lop"),
        (request("", "ir"), "UsageError", "no kernel"),
        (request("GPU_KERNEL"), "SourceError", ""),
        (request("(" * 100_000, "gpk"), "SourceError", ""),
    ],
)
def test_a_text_that_is_none_is_a_failure_that_says_why(given, kind, message):
    failure = build(given)
    assert isinstance(failure, Failure) and failure.kind == kind and message in failure.message
