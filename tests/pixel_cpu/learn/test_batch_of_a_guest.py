"""The worked example of docs/learn.md, on the loops of a real guest's sha256sum."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import recording

from pixel_cpu.learn.loop_library import write_library
from pixel_cpu.learn.mine import find_loops
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.analysis.naming import naming_of_machine

pytestmark = [pytest.mark.guest, pytest.mark.long, pytest.mark.timeout(900)]
DOCUMENT = Path(__file__).parents[3] / "docs" / "learn.md"


def test_messages_are_hashed_by_the_loops_that_were_learned(machine, tmp_path, monkeypatch):
    path = tmp_path / "work.gbt"
    with recording(machine, path):
        machine.exec("cd /tmp; cat /bin/busybox > sums; sha256sum sums sums; rm sums", timeout_s=300)
    with mine(path) as found:
        names = [
            each.name
            for each in write_library(
                tmp_path / "library", find_loops(found, naming_of_machine(machine.client, []), 12)
            )
        ]
    assert {"busybox+0x94370", "busybox+0x94390", "busybox+0x94430"} <= {*names}
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (example,) = [each for each in blocks if "hashlib" in each]
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/learn.md", "exec"), {"__name__": "documentation"})
