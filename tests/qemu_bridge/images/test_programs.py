"""Programs for guests: what is compiled runs without a C library, and its library links with one."""

import shutil
import subprocess

import pytest

from qemu_bridge.images.programs import ProgramError, build_program, find_compiler, sources
from qemu_bridge.images.recipe import load_recipe, shipped_folder

FOLDER = shipped_folder() / "gpu-submit"

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guest")
    found = {file.path: file for file in build_program(FOLDER)}
    for file in found.values():
        path = folder / file.path.rpartition("/")[2]
        path.write_bytes(file.content)
        path.chmod(file.permissions)
    return found, folder


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_comes_with_its_library(files):
    assert list(files[0]) == [
        *(
            "usr/bin/gpu-submit",
            "usr/include/glassbox_gpu.h",
            "usr/lib/glassbox/glassbox_gpu.py",
            "usr/lib/glassbox_gpu.o",
        ),
    ]
    assert files[0]["usr/bin/gpu-submit"].permissions == 0o755
    assert len(files[0]["usr/bin/gpu-submit"].content) < 64 << 10


def test_a_program_needs_nothing_of_the_guest_but_linux(files):
    program = files[1] / "gpu-submit"
    # No interpreter, and no dynamic section: nothing is loaded beside it.
    headers = run("readelf", "-lW", str(program)).stdout if shutil.which("readelf") else ""
    assert "INTERP" not in headers and "DYNAMIC" not in headers
    answer = subprocess.run([program, "--help"], capture_output=True, text=True, env={}, check=False)
    assert answer.returncode == 0 and answer.stdout.startswith("usage: gpu-submit FILE")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no file of kernels"),
        (("a.gpk", "--set"), "--set needs a value"),
        (("a.gpk", "--frob", "1"), "there is no option --frob"),
        (("a.gpk", "--in", "x"), "takes NAME=VALUE"),
        (("a.gpk", "--in", "x=x.bin"), "such as .f32"),
        (("a.gpk", "--in", "x=x.f32", "--out", "x=x.i32"), "another type"),
        (("a.gpk", "--in", "x=x.f32", "--in", "x=y.f32"), "given twice"),
        (("a.gpk", "--in", "x=/nowhere.f32"), "cannot be read"),
        (("a.gpk", "--map", "x=/etc/x.f32", "--out", "x=y.f32"), "cannot be read"),
        (("a.gpk", "--lanes", "many"), "takes a number"),
        (("a.gpk", "--class", "slow"), "is no class"),
        (("a.gpk", "--in", f"{'x' * 5000}=x.f32"), "takes NAME=VALUE"),
        (("a.gpk", "b.gpk"), "is a second"),
        (("/nowhere.gpk",), "cannot be read"),
        (("/dev/null",), "cannot be read"),
        (("/etc/passwd", "--set", "a=1"), "give an array, or --lanes N"),
    ],
)
def test_mistakes_are_told_before_a_port_is_opened(files, words, said):
    answer = run(str(files[1] / "gpu-submit"), *words)
    assert answer.returncode == 2 and said in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_without_a_port_the_way_out_is_told(files):
    answer = run(str(files[1] / "gpu-submit"), "--limits")
    assert answer.returncode == 3 and "glassbox start NAME --gpu" in answer.stderr


def test_a_program_with_a_c_library_links_with_the_library(files, tmp_path):
    (tmp_path / "own.c").write_text(
        """
        #include <stdio.h>
        #include <string.h>
        #include "glassbox_gpu.h"
        static struct gbg gpu;
        int main(void) { int code = gbg_open(&gpu, 0); printf("%d %s\\n", code, gpu.message); return code == GBG_NO_PORT ? 0 : 1; }
        """
    )
    out = tmp_path / "own"
    words = [
        "-Wall",
        "-Werror",
        f"-I{files[1]}",
        "-o",
        str(out),
        str(tmp_path / "own.c"),
        str(files[1] / "glassbox_gpu.o"),
    ]
    subprocess.run([find_compiler(), *words], check=True)
    answer = run(str(out))
    assert answer.returncode == 0 and answer.stdout.startswith("-1 this guest has no port")


def test_a_host_without_a_compiler_says_so(monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(ProgramError, match="install one"):
        list(build_program(FOLDER))


def test_what_does_not_compile_is_told_with_the_compilers_words(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken.c").write_text("int x = ;")
    with pytest.raises(ProgramError, match=r"does not compile \(.*error"):
        list(build_program(folder))


def test_changed_sources_are_another_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own = tmp_path / "glassbox" / "images"
    shutil.copytree(FOLDER, own / "gpu-submit")
    shutil.copy(FOLDER.parent / "alpine.toml", own)
    assert load_recipe("alpine").programs == (own / "gpu-submit",)
    before = load_recipe("alpine").digest
    source = sources(own / "gpu-submit")[0]
    source.write_text(f"{source.read_text()}\n")
    assert load_recipe("alpine").digest != before
