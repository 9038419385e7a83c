"""Vector instructions, against /proc/cpuinfo and against code that is known."""

import platform
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pixel_cpu.backends.lane_c.compiler import find_compiler, machine
from pixel_cpu.benchmark import simd
from pixel_cpu.benchmark.simd import compiler_macros, emitted_registers, simd_info
from pixel_cpu.errors import DeviceError

only_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="registers of x86-64")
LOOP = "void add(float *x, const float *y) { for (int i = 0; i < 1024; i++) x[i] += y[i]; }\n"


@only_x86
def test_the_processor_the_compiler_and_the_kernel_say_the_same():
    found = simd_info()
    flags = Path("/proc/cpuinfo").read_text().split("flags")[1].split("\n")[0].split()
    by_name = {each.name: each for each in found.extensions}
    assert by_name["AVX2"].in_processor == ("avx2" in flags)
    assert by_name["AVX-512 F"].in_processor == ("avx512f" in flags)
    assert (by_name["AVX2"].bits, by_name["AVX2"].f32_lanes) == (256, 8)
    assert found.lane_c == machine() and found.emitted_bits == 32 * machine().width
    assert found.compiler_version and found.disagreements == ()


@only_x86
@pytest.mark.parametrize(("flag", "widest"), [("-mno-avx", "xmm"), ("-mavx2", "ymm")])
def test_registers_are_those_that_the_compiler_was_told_to_use(tmp_path, flag, widest):
    library = tmp_path / "loop.so"
    words = [*find_compiler(), "-O3", flag, "-mprefer-vector-width=256", "-shared", "-fPIC", "-x", "c", "-"]
    subprocess.run([*words, "-o", str(library)], input=LOOP, text=True, check=True)
    found = emitted_registers(library)
    assert next(name for name, count in found.items() if count) == widest


def test_macros_are_the_compilers_own():
    macros = compiler_macros(find_compiler())
    assert macros["__CHAR_BIT__"] == "8" and "__VERSION__" in macros
    with pytest.raises(DeviceError, match="does not say"):
        compiler_macros(["/bin/false"])


@only_x86
def test_what_disagrees_is_said(monkeypatch):
    wider = replace(machine(), width=2 * machine().width, name="wider")
    monkeypatch.setattr(simd, "machine", lambda: wider)
    monkeypatch.setattr(simd, "processor_features", lambda: frozenset({"sse2", "sse4_2", "avx512_vnni"}))
    monkeypatch.setattr(simd, "compiler_macros", lambda command: {"__SSE2__": "1", "__AVX2__": "1"})
    said = " ".join(simd_info().disagreements)
    assert "the processor has SSE4.2 and the compiler does not build for it" in said
    assert "the compiler builds for AVX2, which the processor does not name" in said
    assert f"lane C counts on vectors of {32 * wider.width} bits (wider)" in said


def test_without_a_compiler_the_processor_still_speaks(monkeypatch):
    def nothing():
        raise DeviceError("there is no C compiler")

    monkeypatch.setattr(simd, "find_compiler", nothing)
    found = simd_info()
    assert found.compiler == "" and found.emitted_bits is None and found.disagreements == ("there is no C compiler",)
    assert found.processor and found.extensions
