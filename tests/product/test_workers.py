"""Tests that follow one another on one guest stay in one process and in their order, however many processes there are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from house import processes_of
from support import wait_until
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


@pytest.mark.guest
def test_a_session_that_is_killed_leaves_no_guest(tmp_path):
    test = tmp_path / "test_killed.py"
    test.write_text(
        "def test_stays(machine):\n    print(machine.client.connection.daemon_pid, flush=True)\n    input()\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    words += ["--rootdir", ROOT, "--confcutdir", ROOT, "-p", "conftest", test]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as session:
        daemon = int(session.stdout.readline())
        runtime = Path(f"/proc/{daemon}/environ").read_text().partition("XDG_RUNTIME_DIR=")[2].partition("\0")[0]
        assert daemon in processes_of(runtime)
        session.kill()
    wait_until(lambda: not processes_of(runtime) and not Path(runtime).parent.exists())
