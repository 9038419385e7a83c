"""Jobs: what a guest asked for is what the engine is asked for."""

import os
from dataclasses import replace

import pytest

from gpu_hypervisor.channel.aperture import Aperture
from gpu_hypervisor.channel.jobs import to_submission, typed_view, write_result
from gpu_hypervisor.channel.messages import Element, Language, Memory, Submit
from gpu_hypervisor.channel.payload import PayloadError, Reader
from gpu_hypervisor.scheduler.classes import JobClass

REQUEST = Submit(Memory(1, 0, 5, Element.U8), Language.GPK, 0, 100, 0, 0, 0, 0, 0, "", "sh", {})


def test_numbers_that_are_zero_are_not_given():
    found = to_submission(REQUEST, "text", {"a": 2})
    assert (found.text, found.language, found.kernel, found.lanes, found.blocks, found.threads) == (
        "text",
        "gpk",
        None,
        100,
        None,
        None,
    )
    assert (found.job_class, found.deadline_s, found.seconds, found.label) == (None, None, 60.0, "sh")
    assert found.fuel > 0 and found.arguments == {"a": 2}


def test_what_is_given_arrives():
    request = replace(
        REQUEST,
        language=Language.IR,
        job_class=1,
        lanes=0,
        blocks=7,
        threads=32,
        deadline_us=1500,
        limit_us=2_000_000,
        fuel=9,
        kernel="k",
    )
    found = to_submission(request, "text", {})
    assert (found.language, found.kernel, found.lanes, found.blocks, found.threads) == ("ir", "k", None, 7, 32)
    assert (found.job_class, found.deadline_s, found.seconds, found.fuel) == (JobClass.REALTIME, 0.0015, 2.0, 9)


def test_each_class_has_its_number():
    classes = [to_submission(replace(REQUEST, job_class=number), "", {}).job_class for number in range(5)]
    assert classes == [None, JobClass.REALTIME, JobClass.BATCH, JobClass.THROUGHPUT, JobClass.INTERACTIVE]
    with pytest.raises(PayloadError, match="no class"):
        to_submission(replace(REQUEST, job_class=5), "", {})


def test_a_limit_is_bounded():
    assert to_submission(replace(REQUEST, limit_us=(1 << 64) - 1), "", {}).seconds == 86400.0


def test_half_an_element_is_refused(tmp_path):
    path = tmp_path / "aperture"
    path.touch()
    os.truncate(path, 4096)
    with Aperture(path, 4096, 4096) as aperture:
        block = aperture.allocate(10)
        assert typed_view(aperture, Memory(block.handle, 2, 8, Element.F64), "x").dtype == "f8"
        with pytest.raises(PayloadError, match="10 bytes of x"):
            typed_view(aperture, Memory(block.handle, 0, 10, Element.F32), "x")


def test_nobody_s_job_says_that_somebody_is_there():
    reader = Reader(write_result(None).content)
    assert (reader.u16(), reader.u8()) == (0, 0)
