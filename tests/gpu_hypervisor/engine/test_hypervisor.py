"""Jobs of tenants on a real device: results, errors, quotas."""

import os
import re
import threading

import numpy as np
import pytest
from hypervisor_kernels import HASH, SAXPY, WORK, endless, hashed, long_work, saxpy, work
from support import is_running, wait_until

from gpu_hypervisor import Hypervisor, JobClass, JobState, Submission
from gpu_hypervisor.errors import AdmissionError, DeadlineError, QuotaError, TenantGoneError
from pixel_cpu.errors import IrError, LaunchError, LimitError, SourceError, TrapError
from qemu_bridge.errors import UsageError


def test_a_job_gives_what_numpy_gives_and_says_what_it_took(hypervisor, opened):
    x, y = np.arange(1000, dtype="f4"), np.ones(1000, "f4")
    job = opened().submit(saxpy(x, y, label="my program"))
    job.result(120)
    assert (y == 2 * x + 1).all() and job.state is JobState.DONE and job.slices >= 1 and job.device_seconds > 0
    assert job.job_class is JobClass.INTERACTIVE and job.kernel == "saxpy" and job.build_seconds > 0
    text = "\n".join(hypervisor.why(job.number))
    assert "(my program): saxpy, done" in text and "accepted as interactive" in text and "ended" in text


def test_a_launch_in_many_slices_runs_every_lane_once(opened):
    beside = opened(weight=0.1).submit(long_work())
    wait_until(lambda: beside.slices > 0 or beside.state is JobState.RUNNING, 240)
    y = np.arange(1 << 16, dtype="u4")
    wanted = hashed(y, 8000)
    job = opened().submit(work(y, 8000, HASH, job_class=JobClass.BATCH))
    job.result(240)
    assert (y == wanted).all() and job.slices > 2
    beside.cancel()


@pytest.mark.parametrize(
    ("text", "language", "kind", "line"),
    [
        ("kernel x(", "ir", SourceError, 1),
        (SAXPY.replace("MUL a xv", "MUL a"), "gpk", SourceError, 13),
        (WORK.replace("%n trap", "%before2 trap"), "ir", SourceError, 19),
        (WORK.replace("%h: u32 = %before", "%h: f32 = %before"), "ir", IrError, None),
    ],
)
def test_a_text_that_is_no_kernel_ends_its_job_with_the_place(hypervisor, opened, text, language, kind, line):
    job = opened().submit(Submission(text, language=language, lanes=10))
    with pytest.raises(kind) as error:
        job.result(120)
    assert job.state is JobState.FAILED and (line is None or error.value.line == line)
    if isinstance(error.value, SourceError):
        assert error.value.column >= 1 and error.value.text.strip() in text
    assert "refused" in hypervisor.why(job.number)[1]


def test_arguments_that_do_not_fit_end_the_job(opened):
    tenant = opened()
    x = np.zeros(10, "f4")
    wrong = [
        ({"a": 2.0, "x": x}, "buffer y is missing"),
        ({"a": 2.0, "x": x, "y": np.zeros(10, "f8")}, "y holds f32, the array float64"),
        ({"a": "2".__len__(), "x": x, "y": x, "z": 1}, "no scalar z|share memory|there is no"),
    ]
    for arguments, message in wrong:
        job = tenant.submit(Submission(SAXPY, lanes=10, arguments=arguments))
        with pytest.raises(LaunchError, match=message):
            job.result(120)
    assert tenant.ledger.bytes == 0


def test_a_trap_ends_the_job_and_names_lane_and_line(opened):
    y = np.zeros(10, "u4")
    job = opened().submit(Submission(WORK, language="ir", lanes=40, arguments={"rounds": 1, "y": y}))
    with pytest.raises(TrapError, match="lane 10: index 10 outside y"):
        job.result(120)
    assert job.traps == 30 and not y.any()


def test_a_full_queue_and_a_full_memory_are_refused_at_once_with_what_is_left(opened):
    tenant = opened(queue_jobs=2, memory_bytes=1000)
    y = np.zeros(125, "u4")
    first = tenant.submit(work(y, 1))
    with pytest.raises(QuotaError, match="504 bytes are wanted, and 500 of 1000 are left") as error:
        tenant.submit(work(np.zeros(126, "u4"), 1))
    assert (error.value.wanted, error.value.left) == (504, 500)
    second = tenant.submit(work(np.zeros(125, "u4"), 1))
    with pytest.raises(QuotaError, match="2 jobs of tenant"):
        tenant.submit(work(np.zeros(1, "u4"), 1))
    for job in (first, second):
        job.result(120)
    assert tenant.ledger.bytes == 0 and tenant.usage().refused == 2
    tenant.submit(work(np.zeros(250, "u4"), 1)).result(120)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"language": "c"}, "no language"),
        ({"lanes": None}, "needs lanes"),
        ({"lanes": 0}, "one lane or more"),
        ({"blocks": 3}, "needs lanes"),
        ({"deadline_s": -1.0}, "deadline_s is a time above 0"),
        ({"seconds": float("nan")}, "seconds is a time"),
        ({"job_class": JobClass.REALTIME}, "needs a deadline"),
        ({"arguments": {"x": "text"}}, "x is a number, an array"),
        ({"arguments": {"x": np.zeros((2, 2))}}, "one dimension"),
        ({"text": " " * (5 << 20)}, "more than 4 MiB"),
    ],
)
def test_what_cannot_be_is_refused_at_once(opened, wrong, message):
    with pytest.raises(AdmissionError, match=message):
        opened().submit(Submission(**{"text": SAXPY, "lanes": 10, **wrong}))


def test_a_deadline_that_cannot_be_promised_is_refused_with_what_is_left(opened):
    tenant, x = opened(), np.zeros(10, "f4")
    job = tenant.submit(saxpy(x, x.copy(), deadline_s=1e-6, expected_s=1.0))
    with pytest.raises(DeadlineError, match="are left until its deadline") as error:
        job.result(120)
    assert error.value.left_seconds == 0
    job = tenant.submit(saxpy(x, x.copy(), deadline_s=100.0, expected_s=0.01))
    job.result(120)
    assert job.job_class is JobClass.REALTIME


def test_jobs_are_cancelled_in_every_state(hypervisor, opened):
    tenant = opened()
    running = tenant.submit(long_work())
    wait_until(lambda: running.state is JobState.RUNNING)
    waiting = tenant.submit(long_work())
    building = tenant.submit(Submission(SAXPY + " ", lanes=1))
    # Its kernel may be ready before anybody can say no.
    assert (building.cancel() and building.wait(60) is JobState.CANCELLED) or building.state.has_ended
    assert waiting.cancel() and waiting.wait(60) is JobState.CANCELLED and not waiting.cancel()
    assert running.cancel() and running.wait(60) is JobState.CANCELLED
    assert tenant.ledger.bytes == 0 and not tenant.jobs
    y = np.zeros(10, "u4")
    tenant.submit(work(y, 5)).result(120)
    assert (y == 5).all()


def test_a_job_may_take_so_much_device_time_and_no_more(opened):
    tenant = opened()
    for submission in (endless(seconds=0.2), work(np.zeros(1 << 21, "u4"), 1 << 20, job_class=None, seconds=0.2)):
        job = tenant.submit(submission)
        with pytest.raises(LimitError, match=r"more than the 0\.2 s"):
            job.result(120)
    y = np.zeros(10, "u4")
    tenant.submit(work(y, 5)).result(120)
    assert (y == 5).all()


def test_a_closed_tenant_leaves_nothing(hypervisor, opened):
    tenant = opened()
    running = tenant.submit(long_work())
    wait_until(lambda: running.state is JobState.RUNNING)
    pid = tenant.usage().worker_pid
    waiting = tenant.submit(Submission(SAXPY + "  ", lanes=1))
    before = hypervisor.residency.bytes
    tenant.close()
    tenant.close()
    for job in (running, waiting):
        assert job.wait(60) in (JobState.CANCELLED, JobState.FAILED)
        assert isinstance(job.error, TenantGoneError)
    assert not is_running(pid) and hypervisor.residency.bytes == before - (4 << 21)
    with pytest.raises(TenantGoneError):
        tenant.submit(saxpy(np.zeros(1, "f4"), np.zeros(1, "f4")))
    with pytest.raises(TenantGoneError):
        tenant.allocate(1)


def test_names_of_tenants_are_their_own(hypervisor, opened):
    tenant = opened()
    with pytest.raises(UsageError, match="choose another name"):
        hypervisor.open_tenant(tenant.name)
    for name in ("", "a\nb", "x" * 300):
        with pytest.raises(UsageError, match="no name"):
            hypervisor.open_tenant(name)
    hypervisor.set_weight(tenant.name, 7.0)
    assert tenant.usage().weight == 7


def test_callbacks_are_told_once_and_may_ask_anything(hypervisor, opened):
    tenant, told, done = opened(), [], threading.Event()

    def action(job):
        told.append((job.state, hypervisor.why(job.number)[0], tenant.usage().ended))
        done.set()

    job = tenant.submit(work(np.zeros(10, "u4"), 5))
    job.add_done_callback(action)
    assert done.wait(120)
    job.add_done_callback(action)
    assert len(told) == 2 and told[0][0] is JobState.DONE and told[0][2] == 1


def test_a_hypervisor_ends_with_its_processes_and_descriptors():
    before = len(os.listdir("/proc/self/fd"))
    with Hypervisor() as hypervisor:
        tenant = hypervisor.open_tenant("a")
        y = np.zeros(10, "u4")
        tenant.submit(work(y, 5)).result(120)
        pid = tenant.usage().worker_pid
        stats = hypervisor.stats()
        assert stats.slices >= 1 and [each.name for each in stats.tenants] == ["a"]
    assert not is_running(pid) and not hypervisor._thread.is_alive()
    hypervisor.close()
    del tenant, y
    assert len(os.listdir("/proc/self/fd")) <= before
    with pytest.raises(UsageError, match="closed"):
        hypervisor.open_tenant("b")


def test_reasons_name_jobs_that_are_not_known(hypervisor):
    with pytest.raises(UsageError, match=re.escape("no job 999999")):
        hypervisor.why(999999)
