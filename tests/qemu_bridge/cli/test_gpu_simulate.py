"""``glassbox gpu simulate``."""

import json

import pytest

from qemu_bridge.cli import main


def test_a_saturated_load_is_reported(capsys):
    assert main(["gpu", "simulate", "saturated", "--tenants", "4", "--devices", "1", "--seconds", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["jain_index"] > 0.99 and found["utilisation"] > 99 and found["jobs"] > 4


def test_a_day_is_a_table(capsys):
    assert main(["gpu", "simulate", "day", "--tenants", "20", "--hours", "0.5", "--seed", "5"]) == 0
    text = capsys.readouterr().out
    assert "misses" in text and "utilisation" in text and "%" in text


@pytest.mark.parametrize("words", [["--tenants", "0"], ["--devices", "-1"], ["--seconds", "nan"], ["--hours", "1e9"]])
def test_loads_that_cannot_be_are_refused(words, capsys):
    assert main(["gpu", "simulate", "saturated", *words]) == 2
    assert words[0] in capsys.readouterr().err
