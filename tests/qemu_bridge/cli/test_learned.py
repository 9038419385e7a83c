"""Learned loops on the command line: what is refused before anything starts, and the table."""

from __future__ import annotations

import json

import pytest
from learn_samples import record_checksum
from support import glassbox

from pixel_cpu.learn.loop_library import write_library
from pixel_cpu.learn.mine import find_loops
from qemu_bridge.cli.learned import build_loops
from qemu_bridge.machine.config import find_qemu, qemu_release
from qemu_bridge.trace.analysis.mining import mine


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    with mine(record_checksum(folder), workers=1) as mined:
        assert list(write_library(folder / "library", find_loops(mined)))
    return folder / "library"


def test_loops_of_a_library_are_compiled_once_and_those_that_are_not_proved_are_said(library, capsys):
    (first,) = build_loops(library)
    assert "is only compared with QEMU: it is not proved (nobody has tried)" in capsys.readouterr().err
    assert build_loops(library, is_told=True) == (first,) and first.suffix == ".so"
    assert not capsys.readouterr().err


def test_a_library_says_how_many_of_its_loops_are_not_proved(library, command):
    assert "1 of 1 are not proved" in command("learn", "show", library).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shadow",), "name their library with --learned"),
        (("--learned-unproved",), "name their library with --learned"),
        (("--learned", "LIBRARY", "--shadow", "--learned-unproved"), "leave out --shadow"),
        (("--learned", "LIBRARY", "--smp", "2"), "one vCPU"),
        (("--learned", "LIBRARY", "--", "-smp", "cpus=1,maxcpus=2"), "one vCPU"),
        (("--learned", "LIBRARY", "--", "-icount", "shift=1"), "-icount"),
        (("--learned", "LIBRARY", "--accel", "kvm"), "--accel"),
        (("--learned", "/nowhere"), "no library of loops"),
    ],
)
def test_a_machine_that_cannot_have_learned_loops_is_refused(words, message, library, image):
    answer = glassbox("start", "refused", *(str(library) if word == "LIBRARY" else word for word in words))
    assert answer.returncode == 2 and message in answer.stderr, answer.stderr


def test_a_qemu_whose_plugins_cannot_advance_a_guest_is_refused_with_the_way_out(library, image):
    if qemu_release(find_qemu()) >= (10, 1):
        pytest.skip("the QEMU of this host can")
    answer = glassbox("start", "refused", "--learned", str(library))
    assert answer.returncode == 1 and "'just qemu11' makes one" in answer.stderr


@pytest.mark.guest
@pytest.mark.timeout(200)
def test_a_machine_starts_with_a_library_and_shows_it(library, image, qemu11):
    answer = glassbox("start", "learns", "--learned", str(library), "--shadow", "--wait", GLASSBOX_QEMU=qemu11)
    try:
        assert answer.returncode == 0, answer.stderr
        (row,) = json.loads(glassbox("learned", "learns", "--json").stdout)
        assert row["name"] == next(library.glob("*.ir")).stem and row["rounds"] == 0
        heading, line = glassbox("learned", "learns").stdout.splitlines()
        assert heading.startswith("NAME ") and line.startswith(f"{row['name']} ")
    finally:
        glassbox("stop", "learns")


@pytest.mark.guest
def test_a_machine_without_learned_loops_says_how_to_get_them(machine):
    answer = glassbox("learned", machine.name)
    assert answer.returncode == 0 and answer.stdout == "" and "--learned FOLDER" in answer.stderr
