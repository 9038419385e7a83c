"""Compiled kernels in the user's cache."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import types

import pytest
from lane_kernels import SAXPY

from pixel_cpu.backends.lane_c import compiler
from pixel_cpu.errors import DeviceError

TEXT = "int answer(void) { return 42; }\n"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "glassbox" / "kernels"


def test_a_text_is_compiled_once(own_cache, monkeypatch):
    assert compiler.load(TEXT).answer() == 42
    (path,) = own_cache.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700 and stat.S_IMODE(own_cache.stat().st_mode) == 0o700
    monkeypatch.setattr(subprocess, "Popen", None)
    assert compiler.build(TEXT) == path
    with pytest.raises(TypeError):
        compiler.build(TEXT + "int other;\n")


def test_what_others_can_write_is_not_loaded(own_cache):
    path = compiler.build(TEXT)
    path.chmod(0o777)
    # Who gets a path loads the library elsewhere, as QEMU does.
    for use in (lambda: compiler.load(TEXT), lambda: compiler.build(TEXT), lambda: compiler.open_library(path)):
        with pytest.raises(DeviceError, match="other users can change"):
            use()
    path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
        with pytest.raises(DeviceError, match="other users can change"):
            compiler.load(TEXT)


def test_the_cache_is_bounded(own_cache, monkeypatch):
    monkeypatch.setattr(compiler, "MAX_FILES", 4)
    first = compiler.build(TEXT)
    os.utime(first, (1, 1))
    for number in range(6):
        compiler.build(f"{TEXT}int more{number};\n")
    assert len(list(own_cache.iterdir())) <= 4 and not first.exists()


def test_a_host_without_a_compiler_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match="pip install ziglang`; the device numba needs none"):
        compiler.find_compiler()
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: types.SimpleNamespace(origin=__file__))
    assert compiler.find_compiler() == [sys.executable, "-m", "ziglang", "cc"]


def test_what_does_not_compile_says_why(own_cache):
    with pytest.raises(DeviceError, match=r"does not compile the kernel .*error"):
        compiler.build("int broken(\n")


def test_a_second_process_loads_from_the_cache(own_cache):
    code = f"""
import time
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.backends.lane_c import compile_kernel
module = verify(read({SAXPY!r}))
begun = time.process_time()
compile_kernel(module, "main")
print(time.process_time() - begun)
"""
    environment = os.environ | {"XDG_CACHE_HOME": str(own_cache.parents[1])}
    times = []
    for _ in range(4):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        times.append(float(done.stdout))
    assert min(times[1:]) < 0.02, times
    assert len(list(own_cache.iterdir())) == 2
