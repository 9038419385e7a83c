"""What builders are told and tell."""

import msgspec
import pytest

from gpu_hypervisor.admission import BuildRequest, Built, Failure
from gpu_hypervisor.admission.built import MemoryInfo
from pixel_cpu.errors import DeviceError, GlassBoxError, IrError, LaunchError, SourceError, TrapError


def test_a_request_is_named_by_all_that_it_asks():
    request = BuildRequest("cpu", "ir", "text", None, None)
    assert request.digest == BuildRequest("cpu", "ir", "text", None, None).digest
    others = [("wgpu", "ir", "text", None, None), ("cpu", "ir", "text", "k", None), ("cpu", "ir", "text", None, 32)]
    assert len({request.digest, *(BuildRequest(*each).digest for each in others)}) == 4


def test_a_built_kernel_has_what_launches_are_checked_against():
    memories = (MemoryInfo("x", "buffer", "f32", None, False), MemoryInfo("w", "workgroup", "u8", 16, True))
    built = Built("k", 64, {"a": "f32"}, memories, "", 1, 2, 3, 0)
    built = msgspec.msgpack.decode(msgspec.msgpack.encode(built), type=Built)
    kernel = built.module.kernels["k"]
    assert kernel.buffer_names == ("x",) and not kernel.buffers[0].is_writable and kernel.group == 64
    assert {name: kind.value for name, kind in kernel.scalars.items()} == {"a": "f32"} and built.module is built.module


@pytest.mark.parametrize(
    "error",
    [
        SourceError("wrong", line=3, column=5, text="the line", others=[SourceError("too", line=4, column=1)]),
        IrError("breaks a rule", line=7),
        LaunchError("does not fit"),
        DeviceError("is missing"),
    ],
)
def test_an_error_comes_back_as_what_it_was(error):
    failure = msgspec.msgpack.decode(msgspec.msgpack.encode(Failure.of(error)), type=Failure)
    found = failure.error
    assert type(found) is type(error) and str(error).splitlines()[-1].strip() in str(found)
    for name in ("line", "column", "message", "text"):
        if isinstance(error, SourceError):
            assert getattr(found, name) == getattr(error, name)
    if isinstance(error, SourceError):
        assert [other.line for other in found.others] == [4]


@pytest.mark.parametrize("kind", ["TrapError", "WasmError", "NoSuchError", "annotations", "dataclass"])
def test_a_class_that_is_not_told_is_an_error_of_the_device(kind):
    found = Failure(kind, "message").error
    assert isinstance(found, GlassBoxError) and not isinstance(found, TrapError) and "message" in str(found)
