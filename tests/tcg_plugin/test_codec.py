"""The codec's own tests in C, under the address and undefined-behaviour sanitizers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tcg_plugin import build

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_its_own_tests_in_c_pass_under_both_sanitizers(tmp_path):
    program = tmp_path / "codec_test"
    flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    sources = [HERE / "codec_test.c", *(build.FOLDER / name for name in build.SOURCES["glassbox_codec"])]
    command = ["cc", *flags, "-fno-sanitize-recover=all", "-I", build.FOLDER, "-o", program, *sources]
    subprocess.run(command, check=True, timeout=120)
    subprocess.run([program, "20000"], check=True, timeout=120)
