"""Tests that follow one another on one guest stay in one process and in their order, however many processes there are."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from house import processes_of
from support import is_running, wait_until
from workers import group_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "tests/qemu_bridge/host"


def test_tests_of_a_file_or_of_a_kernel_are_one_group():
    assert group_of("tests/a/test_b.py::test_c") == "tests/a/test_b.py" == group_of("tests/a/test_b.py::test_d[x-7]")
    assert group_of("tests/a/test_b.py::test_c[7.0]") == group_of("tests/other.py::test_d[stack-7.0]") == "kernel 7.0"
    assert (
        group_of("tests/a/test_b.py::test_c[17.0]")
        == group_of("tests/a/test_b.py::test_c[7.01]")
        == "tests/a/test_b.py"
    )


@pytest.mark.long
def test_two_processes_share_files_and_not_tests():
    words = [sys.executable, "-m", "pytest", "-v", "-n", "2", "-p", "no:cacheprovider", "-m", "not guest", FOLDER]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    ran = re.findall(r"\[(gw\d)\] .*PASSED (\S+?)::(\S+)", answer.stdout)
    processes = {}
    for process, path, _ in ran:
        processes.setdefault(path, set()).add(process)
    assert len(processes) > 3 and len(ran) > 2 * len(processes), answer.stdout + answer.stderr
    assert all(len(used) == 1 for used in processes.values()) and len(set.union(*processes.values())) == 2


@contextlib.contextmanager
def session_of(test, folder):
    """A session of its own that runs the text of a test; its output can be read."""
    path = folder / "test_inner.py"
    path.write_text(test)
    words = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    words += ["--rootdir", ROOT, "--confcutdir", ROOT, "-p", "conftest", path]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, env=environment) as session:
        yield session


LEAVES_A_CHILD = """
import os, signal

def test_leaves_a_child({fixtures}):
    # Without a buffer: the child must not write what its parent did.
    child = os.fork()
    if child == 0:
        signal.pause()
    os.write(1, f"\\nhere {{child}} {{{daemon}}}\\n".encode())
    {then}
"""


def words_of(session):
    """What a test said of itself."""
    return next(line.split()[1:] for line in session.stdout if line.startswith("here "))


def test_a_child_that_a_test_forked_does_not_keep_its_session_from_ending(tmp_path):
    with session_of(LEAVES_A_CHILD.format(fixtures="", daemon="0", then=""), tmp_path) as session:
        child = int(words_of(session)[0])
        assert session.wait(60) == 0
        assert not is_running(child)


@pytest.mark.guest
def test_a_session_that_is_killed_leaves_no_guest_and_no_child(tmp_path):
    daemon = "machine.client.connection.daemon_pid"
    test = LEAVES_A_CHILD.format(fixtures="machine", daemon=daemon, then="input()")
    with session_of(test, tmp_path) as session:
        child, daemon = map(int, words_of(session))
        runtime = Path(f"/proc/{daemon}/environ").read_text().partition("XDG_RUNTIME_DIR=")[2].partition("\0")[0]
        assert daemon in processes_of(runtime) and is_running(child)
        session.kill()
    wait_until(lambda: not processes_of(runtime) and not Path(runtime).parent.exists())
    assert not is_running(child)
