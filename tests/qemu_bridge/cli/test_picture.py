"""Verbs that draw. What they draw: tests/viewer."""

import pytest
from support import glassbox


@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/x"])
def test_run_needs_a_folder_before_it_boots(folder):
    answer = glassbox("run", "--no-window", "-o", folder)
    assert answer.returncode == 1 and folder in answer.stderr and len(answer.stderr.splitlines()) == 1
