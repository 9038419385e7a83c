"""The C that needs no QEMU, compiled with every warning and run under the address and undefined-behaviour sanitizers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tcg_plugin import build

HERE = Path(__file__).parent
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.mark.parametrize("name", ["ring", "dictionary", "values", "calls"])
def test_unit_tests_in_c_pass_under_the_sanitizers(name, tmp_path):
    program = tmp_path / name
    sources = [HERE / f"{name}_test.c", build.FOLDER / f"{name}.c"]
    subprocess.run(["cc", *FLAGS, *SANITIZERS, f"-I{build.FOLDER}", "-o", program, *sources], check=True)
    answer = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    declared = (HERE / f"{name}_test.c").read_text().count("static void test_") or 1
    assert len(answer.stdout.split()) == declared
