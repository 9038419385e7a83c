"""The verb call: every operation of the table is on the command line."""

import json

import pytest
from support import glassbox


@pytest.mark.guest
def test_any_operation_is_asked_by_its_name(machine):
    done = glassbox("call", machine.name, "type_layout", "name=list_head")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["value"]["size"] == 16 and answer["grade"] == "live"
    symbols = json.loads(glassbox("call", machine.name, "sym", "symbol=init_task").stdout)["value"]
    assert symbols[0]["name"] == "init_task"
    assert json.loads(glassbox("call", machine.name, "dirty", "epoch=0").stdout)["epoch"] > 0


@pytest.mark.guest
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fly",), "no operation 'fly'"),
        (("maps",), "missing required field pid"),
        (("maps", "pid=x"), "pid: expected int, got str"),
        (("maps", "pid"), "write KEY=VALUE"),
        (("maps", "pid=999999"), "999999"),
    ],
)
def test_what_makes_no_sense_is_one_line(machine, words, sentence):
    done = glassbox("call", machine.name, *words)
    assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1
