"""``--json`` against the operation table: each verb that stands for an operation prints its result, and nothing less."""

from __future__ import annotations

import json
import shutil
import typing

import pytest
from open_captures import let_go
from support import glassbox

from qemu_bridge.timeline.checkpoints import folder_of
from qemu_bridge.wire.json_text import decode_json, encode_json
from qemu_bridge.wire.operations import BY_NAME, Cost
from qemu_bridge.wire.records import Answer, OverlayInfo, Place, Status

pytestmark = pytest.mark.guest

INSTANT = {
    "status": ("status", "NAME"),
    "ps": ("ps", "NAME"),
    "maps": ("maps", "NAME", "1"),
    "modules": ("modules", "NAME"),
    "sym": ("sym", "NAME", "init_task"),
    "identify": ("identify", "NAME", "init_task"),
    "resolve": ("resolve", "NAME", "pid:1/heap", "--pages"),
    "targets": ("targets", "NAME", "pid:1/"),
    "overlay": ("overlay", "NAME", "open-files"),
}
"""The command line of each operation that answers at once, by its name; NAME stands for a machine."""
IN_ANOTHER_PROCESS = {
    "checkpoint": ("checkpoint", "NAME", "json"),
    "capture": ("capture", "NAME", "-o", "FOLDER/capture"),
    "snap": ("snap", "NAME", "-o", "FOLDER/x.png", "--size", "64x48"),
    "record_video": ("record-video", "NAME", "-o", "FOLDER/x.mp4", "--size", "64x48", "--fps", "2", "--seconds", "1"),
    "trace_record": ("trace", "record", "NAME", "-o", "FOLDER/x.gbt", "--seconds", "0.2"),
}
OF_FILES = {
    "compare": ("compare", "FOLDER/capture", "NAME", "--pages"),
    "checkpoints": ("checkpoints", "NAME"),
    "restore": ("restore", "NAME", "json"),
    "forget": ("forget", "NAME", "json"),
    "trace_top": ("trace", "top", "FOLDER/x.gbt", "--symbols", "NAME"),
}
"""What needs the files that others wrote."""
NO_JSON = {"pause", "resume", "stop", "wait_ready", "exec", "trace_disarm"}
"""Operations whose verb or flag has no result to print: an exit status says all, or the output is the guest's own."""
OTHERWISE = {"qmp", "dirty", "overlays"}
"""Verbs whose JSON is another: QEMU's own, physical ranges for pages of the file, a list beside what could not be loaded."""

OF_SOME_MACHINES = {"viewers", "highlight", "fly_to", "flows", "learned", "hunt", "fork"}
"""Verbs that need a window, a network, a library or what hides, or make a machine: test_viewers.py, test_network.py, test_learned.py, test_hunt.py and test_checkpoints.py have them."""


def value_type(name):
    """The type of what a verb prints: the operation's result, of an `Answer` its value."""
    result = BY_NAME[name].result
    return typing.get_args(result)[0] if typing.get_origin(result) is Answer else result


def spelled(words, machine, folder):
    return [word.replace("NAME", machine.name).replace("FOLDER", str(folder)) for word in words]


def assert_is(kind, text):
    """`text` is the JSON of `kind`, whole, and of nothing else."""
    assert json.loads(encode_json(decode_json(text.encode(), kind))) == json.loads(text)


@pytest.fixture(scope="module")
def folder(machine, tmp_path_factory):
    found = tmp_path_factory.mktemp("json")
    yield found
    let_go(found / "capture")
    shutil.rmtree(folder_of(machine.name), ignore_errors=True)


@pytest.mark.parametrize("name", INSTANT)
def test_a_verb_prints_the_result_of_its_operation(name, machine, command, folder):
    answer = command(*spelled(INSTANT[name], machine, folder), "--json")
    assert answer.status == 0, answer.err
    assert_is(value_type(name), answer.out)
    assert json.loads(answer.out)


@pytest.mark.parametrize("name", [*IN_ANOTHER_PROCESS, *OF_FILES])
def test_a_job_prints_the_result_of_its_operation(name, machine, folder):
    words = (IN_ANOTHER_PROCESS | OF_FILES)[name]
    answer = glassbox(*spelled(words, machine, folder), "--json")
    assert answer.returncode == (1 if name == "compare" else 0), answer.stderr
    assert_is(value_type(name), answer.stdout)


def test_a_list_of_machines_and_one_of_overlays_are_of_the_same_records(machine, command):
    assert_is(tuple[Status, ...], command("status", "--json").out)
    listed = json.loads(command("overlay", machine.name, "--json").out)
    assert_is(tuple[OverlayInfo, ...], json.dumps(listed["overlays"]))
    assert set(listed) == {"overlays", "skipped"}


def test_every_operation_with_a_verb_is_held_here():
    from qemu_bridge.cli import make_parser

    verbs = next(action.choices for action in make_parser()._actions if action.dest == "verb")
    actions = next(action.choices for action in verbs["trace"]._actions if action.dest == "action")
    spelled_out = {*verbs, *(f"trace-{action}" for action in actions)}
    with_verb = {name for name in BY_NAME if name.replace("_", "-") in spelled_out}
    held = {*INSTANT, *IN_ANOTHER_PROCESS, *OF_FILES}
    assert with_verb <= held | NO_JSON | OTHERWISE | OF_SOME_MACHINES
    assert {name for name, row in BY_NAME.items() if row.cost is Cost.JOB} <= held


def test_what_a_place_lacks_is_null_and_no_field_is_left_out(machine, command):
    printed = json.loads(command("identify", machine.name, "init_task", "--json").out)
    assert set(printed) == set(Place.__struct_fields__)
