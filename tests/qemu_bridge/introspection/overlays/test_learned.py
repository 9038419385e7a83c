"""Learned loops as a table; `tests/tcg_plugin/test_learned.py` has machines in which they run."""

from __future__ import annotations

import pytest
from overlay_checks import read

from qemu_bridge.errors import MachineError
from qemu_bridge.introspection.overlays import OverlayContext, read_overlay
from qemu_bridge.introspection.overlays.learned import LEARNED
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.trace.recording import control
from tcg_plugin import layout
from tcg_plugin.layout import Reason

pytestmark = pytest.mark.guest


@pytest.fixture
def counted(machine, tmp_path):
    """A shared file as the plugin leaves it, with a loop in each state."""
    path = tmp_path / "trace"
    control.create(path, 1, machine.ram.path, machine.ram.layout)
    shared = control.TraceControl(path)
    rows = (layout.LearnedRow * layout.MAX_LEARNED).from_buffer(shared.mapping, shared.block.learned_offset)
    for number, (name, head, compared, mismatches, slices, rounds, ns, round_ps) in enumerate(
        (
            (b"waits", 0x401000, 0, 0, 0, 0, 0, 0),
            (b"is compared", 0x402000, 3, 0, 0, 0, 0, 8000),
            (b"busybox+0x94430", 0x494430, 16, 0, 10, 1000, 2000, 5000),
            (b"differs", 0x404000, 1, 1, 0, 0, 0, 0),
            (b"is not proved", 0x405000, 20, 0, 0, 0, 0, 8000),
        )
    ):
        row = rows[number]
        row.name, row.head, row.compared, row.mismatches = name, head, compared, mismatches
        row.slices, row.rounds, row.ns, row.round_ps = slices, rounds, ns, round_ps
        row.reasons[Reason.SLOW], row.proved = number, number % 2
    rows[4].reasons[Reason.UNPROVED] = 3
    shared.block.learned_count = 5
    del rows, row
    shared.close()
    return path


def test_each_loop_has_a_state_and_its_gain(machine, counted):
    table = read_overlay(LEARNED, OverlayContext(machine.ram, machine.kernel, counted), Budget())
    assert table.complete
    assert [(row["name"], row["head"], row["state"], row["gain"]) for row in table.rows] == [
        ("waits", 0x401000, "waiting", None),
        ("is compared", 0x402000, "compared", None),
        ("busybox+0x94430", 0x494430, "in place", 2.5),
        ("differs", 0x404000, "refused", None),
        ("is not proved", 0x405000, "in shadow", None),
    ]
    assert [row["proved"] for row in table.rows] == [False, True, False, True, False]
    assert [(row["refusals"], row["reasons"]) for row in table.rows][:2] == [(0, ()), (1, ("slow 1",))]


def test_a_machine_without_learned_loops_has_no_rows(machine, context):
    assert not read(context, "learned")
    assert not machine.client.overlay("learned").value.rows


def test_the_head_of_a_loop_is_where_its_file_is_in_memory(machine, counted):
    machine.exec("cat /bin/busybox >/dev/null")
    table = read_overlay(LEARNED, OverlayContext(machine.ram, machine.kernel, counted), Budget())
    places = {row["name"]: row["physical"] for row in table.rows}
    assert {name: place is not None for name, place in places.items()} == {
        name: name == "busybox+0x94430" for name in places
    }
    offset = machine.ram.layout.to_offset(places["busybox+0x94430"])
    wanted = machine.exec("tail -c +$((0x94430 + 1)) /bin/busybox | head -c 64")
    assert machine.ram.view[offset : offset + 64].tobytes() == wanted


@pytest.mark.parametrize("content", [b"", b"no trace" * 1000])
def test_a_file_that_is_none_is_told(content, tmp_path):
    (tmp_path / "trace").write_bytes(content)
    with pytest.raises(MachineError, match=r"glassbox that started|start the machine again"):
        control.read_learned(tmp_path / "trace")
