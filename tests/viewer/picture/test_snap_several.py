"""One picture of several machines, as the command line writes it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support import glassbox
from synthetic import SyntheticSource

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.picture_records import SnapOptions
from viewer.picture.snap import snap, snap_machines
from viewer.sources.machine import MachineSource


@pytest.mark.guest
def test_two_guests_stand_side_by_side_and_what_is_asked_of_all_stands_out_in_each(machine, machine_612, tmp_path):
    path, size = tmp_path / "two.png", (640, 320)
    words = ["-o", str(path), "--size", "640x320", "--at", "glow=class:page-table,dim=all", "--json"]
    done = glassbox("snap", machine.name, machine_612.name, *words)
    assert done.returncode == 0, done.stderr
    assert f'"{machine.name}, {machine_612.name} · 128 MiB RAM each' in done.stdout
    picture = np.asarray(Image.open(path).convert("RGB")).astype(np.float64)
    assert picture.shape == (size[1], size[0], 3)
    glowing = (picture[..., 0] > 150) & (picture[..., 2] < 110) & (picture[..., 1] > 110)
    glowing[:, :150] = False  # the legend names it
    x = np.flatnonzero(glowing.sum(axis=0) > 1)
    assert x.min() < 330 and x.max() > 430, "some in each cube"


def test_sizes_in_the_legend_are_those_of_all_and_each_machine_has_its_name(tmp_path, device):
    pictures = []
    for count in (1, 2):
        path = tmp_path / f"{count}.png"
        sources = [SyntheticSource() for _ in range(count)]
        result = snap(sources[0], SnapOptions(str(path), 640, 360, "labels=0"), others=sources[1:])
        pictures.append(np.asarray(Image.open(path)).astype(int))
    assert result.title == "synthetic, synthetic · 2 MiB RAM each · Linux 0.0"
    rows = np.s_[115:270, 95:131]
    assert (np.abs(pictures[0] - pictures[1])[rows].max(axis=-1) > 60).sum() > 50
    # Nothing else over the cubes is as bright as a name.
    bright = [(picture[30:160, 190:].min(axis=-1) > 200).sum() for picture in pictures]
    assert bright[0] == 0 and bright[1] > 25


@pytest.mark.parametrize(
    ("names", "against", "sentence"), [(["a", "b"], "before", "one machine"), (["a", "b", "a"], None, "twice")]
)
def test_what_cannot_stand_in_one_picture_is_refused(names, against, sentence, tmp_path):
    with pytest.raises(UsageError, match=sentence):
        snap_machines(names, SnapOptions(str(tmp_path / "x.png"), against=against))


@pytest.mark.guest
def test_a_target_that_one_machine_does_not_have_stands_out_in_the_other(machine, machine_612, tmp_path, caplog):
    script = "#!/bin/sh\\nwhile :; do sleep 1; done\\n"
    machine.exec(f"printf '{script}' > /tmp/onlyhere; chmod +x /tmp/onlyhere")
    machine.exec("/tmp/onlyhere >/dev/null 2>&1 </dev/null & echo $! > /tmp/onlyhere.pid")
    try:
        with MachineSource(machine_612.name) as one, MachineSource(machine.name) as other:
            snap(one, SnapOptions(str(tmp_path / "x.png"), 64, 64, "glow=comm:onlyhere"), others=(other,))
    finally:
        machine.exec("kill $(cat /tmp/onlyhere.pid); rm /tmp/onlyhere /tmp/onlyhere.pid")
    with pytest.raises(UsageError, match="no process"):
        snap_machines(
            [machine_612.name, machine.name], SnapOptions(str(tmp_path / "x.png"), 64, 64, "glow=comm:nowhere")
        )
    assert f"{machine_612.name}: no process of that name" in caplog.text
    assert f"{machine.name}: no process" not in caplog.text
