"""Every form of instruction that a guest's own work executes: lifted, and run against Unicorn on the reference and on lane C."""

from __future__ import annotations

import pytest
from guest_work import FILES, TOOLS
from support import recording
from x86_states import UNICORN_IS_WRONG, Case

from pixel_cpu.backends import reference
from pixel_cpu.backends.lane_c import compile_kernels
from pixel_cpu.learn.forms import count_forms
from qemu_bridge.trace.analysis.mining import mine

pytestmark = [pytest.mark.guest, pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def forms(machine, tmp_path_factory):
    """The forms in a trace of Alpine's tools at work."""
    path = tmp_path_factory.mktemp("forms") / "work.gbt"
    machine.exec(FILES)
    with recording(machine, path):
        machine.exec(TOOLS, timeout_s=600)
    with mine(path) as found:
        return count_forms(found)


def cases(forms):
    lifted = [form for form in forms if not form.refused and form.text.split()[0] not in UNICORN_IS_WRONG]
    return [Case(form.code) for form in lifted]


def test_nearly_all_that_ran_is_lifted(forms):
    total = sum(form.executed for form in forms)
    refused = [form for form in forms if form.refused]
    assert len(forms) > 250 and total > 50_000_000
    assert sum(form.executed for form in refused) < total / 100
    # Each is named with its reason.
    assert all(form.text and form.refused for form in refused)


def test_each_form_does_what_unicorn_does(forms):
    found = cases(forms)
    differences = [text for case in found for text in case.differences(case.lifted(), reference.compile_kernel)]
    assert differences == [] and len(found) > 200


def test_lane_c_does_the_same(forms):
    # Compiling takes most of the time. Those that loop inside are the hard ones.
    found = [case for number, case in enumerate(cases(forms)) if number % 5 == 0 or "rep" in case.text]
    lifted = [case.lifted() for case in found]
    kernels = compile_kernels([(each.module, "batch") for each in lifted], level="-O0")
    differences = [
        text
        for case, each, kernel in zip(found, lifted, kernels, strict=True)
        for text in case.differences(each, lambda *_, kernel=kernel: kernel)
    ]
    assert differences == []
