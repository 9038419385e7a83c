"""The Python module of guests: over a pair of port and aperture on this host, and in a guest that has Python."""

import array
import asyncio
import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from gpu_guests import SAXPY, SPIN
from gpu_shell import Shell
from guest_python import python_archive
from support import booted, wait_until

from gpu_hypervisor.channel.aperture import Aperture
from gpu_hypervisor.channel.guests import Guests, _converse
from gpu_hypervisor.channel.messages import Code, Element
from gpu_hypervisor.channel.session import GuestSessions
from gpu_hypervisor.engine import Hypervisor
from qemu_bridge.images.recipe import shipped_folder
from qemu_bridge.machine.gpu import GpuShare

SIZE = 4 << 20
MODULE = shipped_folder() / "gpu-submit" / "glassbox_gpu.py"


@pytest.fixture(scope="module")
def glassbox_gpu():
    spec = importlib.util.spec_from_file_location("glassbox_gpu", MODULE)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


class OwnProcess:
    """The processes of a guest that is this process: its memory is read where it says."""

    def read(self, wanted, put):
        with open(f"/proc/{wanted.pid}/mem", "rb", buffering=0) as file:
            put(0, np.frombuffer(os.pread(file.fileno(), wanted.size, wanted.address), np.uint8))


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    """(a function that opens the port, path of the aperture): what QEMU gives a guest, served as a guest's are."""
    path = tmp_path_factory.mktemp("guest") / "aperture"
    path.touch(0o600)
    os.truncate(path, SIZE)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with Hypervisor() as hypervisor, hypervisor.open_tenant("guest", memory_bytes=SIZE) as tenant:
        with Aperture(path, SIZE, SIZE) as aperture:
            aperture.region = tenant.adopt(aperture.descriptor, SIZE, is_trusted=True)
            sessions = GuestSessions(tenant, aperture, OwnProcess(), "a device", 8)

            async def serve(own):
                reader, writer = await asyncio.open_unix_connection(sock=own)
                with contextlib.closing(writer):
                    await _converse(reader, writer, sessions)
                await writer.wait_closed()

            running = []

            def open_port():
                mine, theirs = socket.socketpair()
                running.append(asyncio.run_coroutine_threadsafe(serve(theirs), loop))
                mine.setblocking(False)
                return mine.detach()

            yield open_port, str(path)
            for each in running:
                each.result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def gpu(glassbox_gpu, channel):
    with glassbox_gpu.Gpu(port=channel[0](), aperture=channel[1]) as found:
        yield found


def test_words_are_those_of_the_protocol(glassbox_gpu):
    assert [code.name for code in Code] == list(glassbox_gpu.CODES)
    assert [element.name.lower() for element in Element] == list(glassbox_gpu.TYPES)
    for element in Element:
        assert np.dtype(glassbox_gpu.TYPES[element.name.lower()]) == np.dtype(element.dtype)


def test_results_are_those_of_numpy_whatever_the_arrays_are(gpu, glassbox_gpu):
    x = np.random.default_rng(7).normal(size=1000).astype("f4")
    y = np.random.default_rng(8).normal(size=1000).astype("f4")
    for given in (
        gpu.array(x, "f32"),
        gpu.array(x.tolist(), "f32"),
        glassbox_gpu.own(x),
        glassbox_gpu.own(array.array("f", x)),
    ):
        out = gpu.array(y, "f32")
        result = gpu.run(SAXPY, lanes=1000, arguments={"a": 2.5, "x": given, "y": out})
        assert result.state == "done" and result.slices >= 1 and result.device_s > 0
        np.testing.assert_array_equal(np.asarray(out.view), np.float32(2.5) * x + y)
    assert gpu.device == "a device" and gpu.status().state == "served"
    limits = gpu.limits()
    assert (limits.memory, limits.aperture, limits.jobs, limits.jobs_queued) == (SIZE, SIZE, 8, 0)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (
            {"text": SAXPY.replace("LOAD", "LAOD"), "lanes": 8, "arguments": {"a": 1}},
            "SOURCE",
            "line 9:13: LAOD begins",
        ),
        ({"text": SAXPY, "lanes": 8, "arguments": {"a": 1}}, "LAUNCH", "x is missing"),
        ({"text": SAXPY, "lanes": 8, "arguments": {"a": "two"}}, "MALFORMED", "'two' is no number"),
        ({"text": SAXPY, "arguments": {"a": 1}}, "REFUSED", "one lane or more"),
        ({"text": SAXPY, "lanes": 8, "arguments": {f"{'x' * 50}{n}": 1 for n in range(80)}}, "USAGE", "do not fit"),
    ],
)
def test_what_is_wrong_has_its_code_and_the_channel_goes_on(gpu, glassbox_gpu, options, code, told):
    with pytest.raises(glassbox_gpu.GpuError, match=told) as error:
        gpu.run(**options)
    assert error.value.code == code
    with pytest.raises(glassbox_gpu.GpuError, match="left") as error:
        gpu.zeros(SIZE, "f32")
    assert error.value.code == "QUOTA" and 0 < error.value.left <= SIZE
    assert gpu.status().state == "served"


def test_a_job_is_cancelled_and_a_wait_ends_in_time(gpu, glassbox_gpu):
    job = gpu.submit(SPIN, lanes=8, fuel=1 << 50, arguments={"x": gpu.zeros(8, "i32")})
    assert gpu.wait(job, 0.01).state in ("building", "queued", "running")
    assert gpu.cancel(job)
    with pytest.raises(glassbox_gpu.GpuError) as error:
        gpu.wait(job)
    assert error.value.code == "CANCELLED"


def test_texts_of_the_last_submissions_are_kept_and_no_more(gpu):
    before = gpu.limits().aperture_used
    x, y = gpu.zeros(8, "f32"), gpu.zeros(8, "f32")
    for number in (0, 1, 2, 3, 4, 5, 0):
        gpu.run(SAXPY + "\n" * number, lanes=8, arguments={"a": 1, "x": x, "y": y})
    gpu.free(x)
    gpu.free(y)
    assert gpu.limits().aperture_used - before <= 4 * (len(SAXPY) + 20)


def test_without_a_gpu_one_is_told_how_to_get_it(glassbox_gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(glassbox_gpu, "_PORTS", str(tmp_path))
    with pytest.raises(glassbox_gpu.NoGpuError, match="glassbox start NAME --gpu"):
        glassbox_gpu.Gpu()
    mine, theirs = socket.socketpair()
    theirs.close()
    (tmp_path / "aperture").write_bytes(bytes(4096))
    with pytest.raises((glassbox_gpu.NoGpuError, BrokenPipeError)):
        glassbox_gpu.Gpu(port=mine.detach(), aperture=str(tmp_path / "aperture"))


def test_the_module_needs_nothing_but_python_and_its_types_hold():
    program = "import sys, runpy; runpy.run_path(sys.argv[1]); print(any('numpy' in name for name in sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-I", "-c", program, str(MODULE)], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"


PROGRAM = """
import sys
sys.path.insert(0, "/usr/lib/glassbox")
from array import array
from glassbox_gpu import Gpu, own
x = array("f", range(5000))
with Gpu() as gpu:
    y, z = gpu.array(range(5000), "f32"), gpu.zeros(5000, "f32")
    text = open("/tmp/saxpy.gpk").read()
    gpu.run(text, lanes=5000, arguments={"a": 2, "x": own(x), "y": y})
    gpu.run(text, lanes=5000, arguments={"a": 3, "x": y, "y": z})
    assert y.view.tolist() == [3.0 * i for i in range(5000)], y.view.tolist()[:5]
    assert z.view.tolist() == [9.0 * i for i in range(5000)], z.view.tolist()[:5]
    print(gpu.device, gpu.limits().weight)
"""


@pytest.mark.guest
@pytest.mark.long
def test_a_guest_that_has_python_submits_what_it_computes(image, tmp_path):
    try:
        archive = python_archive()
    except (FileNotFoundError, subprocess.SubprocessError):
        pytest.skip("this host has no Python of its own to give")
    initrd = tmp_path / "initrd"
    initrd.write_bytes(Path(image.initrd).read_bytes() + archive)
    share = GpuShare(60.0, 16 << 20)
    with booted("gpu-python", image, initrd=initrd, memory=384 << 20, gpu=share) as machine:
        with Hypervisor(device="cpu") as hypervisor, Guests(hypervisor) as guests:
            wait_until(lambda: guests.served == ["gpu-python"])
            shell = Shell(machine)
            shell.machine.exec(f"mv {shell.put(SAXPY.encode(), 's')} /tmp/saxpy.gpk")
            said = shell.done("python3", shell.put(PROGRAM.encode(), "program.py"))
            assert said.endswith(" 60.0\n")
            (name,) = {process.name for job in hypervisor.jobs() for process in job.processes}
            assert name == "python3"
