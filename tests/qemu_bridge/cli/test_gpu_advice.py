"""``glassbox gpu advice``."""

import json
import tempfile
from pathlib import Path

import pytest

from gpu_hypervisor import Hypervisor, JobClass
from gpu_hypervisor.advice import Bounds
from gpu_hypervisor.service import Server
from qemu_bridge.cli import main


def test_suggestions_are_made_listed_and_taken_back(capsys):
    with tempfile.TemporaryDirectory(prefix="gb-") as folder, Hypervisor() as hypervisor:
        bounds = Bounds(0.5, 2.0, (JobClass.BATCH,))
        with Server(hypervisor, Path(folder, "s"), bounds) as server, hypervisor.open_tenant("a", weight=10) as tenant:
            own = ["gpu", "advice", "--socket", str(server.path)]
            assert main([*own, "--suggest", "a", "--weight", "20", "--class", "batch", "--reason", "it waits"]) == 0
            assert "weight 10 -> 20, class inferred -> batch: it waits" in capsys.readouterr().err
            assert main([*own, "--suggest", "a", "--weight", "100"]) == 2
            assert "takes 5 to 20" in capsys.readouterr().err
            assert main(own) == 0
            out, err = capsys.readouterr()
            assert [line.split()[0] for line in out.splitlines()[1:]] == ["1", "2"] and "0.5 to 2 times" in err
            assert main([*own, "--undo", "1", "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["state"] == "undone"
            assert (tenant.weight, tenant.job_class) == (10.0, None)
        with Server(hypervisor, Path(folder, "s")) as server:
            assert main(["gpu", "advice", "--socket", str(server.path)]) == 0
            assert "--advice-weights 0.5:2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--advice-weights", "2"], "LEAST:MOST"),
        (["--advice-weights", "2:3"], "up to 1"),
        (["--advice-classes", "fast"], "--advice-classes are of"),
        (["--advice-classes", "realtime"], "cannot be suggested"),
    ],
)
def test_bounds_that_cannot_be_are_refused(words, message, capsys):
    assert main(["gpu", "serve", *words]) == 2
    assert message in capsys.readouterr().err
