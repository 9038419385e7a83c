"""The verb call: any row of the operation table by its name."""

from __future__ import annotations

import json
import os
import typing

import pytest
from support import glassbox

from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.wire.json_text import decode_json, encode_json
from qemu_bridge.wire.operations import BY_NAME
from qemu_bridge.wire.records import Answer

pytestmark = pytest.mark.guest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("status", ()),
        ("kernel", ()),
        ("maps", ("pid=1",)),
        ("type-layout", ("name=list_head", "depth=2")),
        ("type_names", ("part=task_str",)),
        ("dirty", ("epoch=0",)),
        ("sym", ('symbol="init_task"',)),
        ("overlays", ()),
        ("trace_status", ()),
        ("pause", ()),
        ("resume", ()),
    ],
)
def test_the_whole_answer_is_printed(name, words, machine, command):
    answer = command("call", machine.name, name, *words)
    assert answer.status == 0, answer.err
    kind = BY_NAME[name.replace("-", "_")].result
    assert json.loads(encode_json(decode_json(answer.out.encode(), kind))) == json.loads(answer.out)
    if typing.get_origin(kind) is Answer:
        assert set(json.loads(answer.out)) == set(Answer.__struct_fields__)


def test_bytes_are_hexadecimal(machine, command):
    place = 0x1000000
    answer = command("call", machine.name, "read_memory", f"ranges=[[{place}, 16]]")
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)["value"] == [machine.ram.read(PhysicalAddress(place), 16).hex()]
    done = json.loads(command("call", machine.name, "exec", "command=echo hi; exit 3").out)
    assert done == {"exit_status": 3, "output": b"hi\n".hex(), "errors": "", "timed_out": False}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("levitate",), "no operation 'levitate'"),
        (("maps", "1"), "KEY=VALUE"),
        (("maps", "pid=one"), "pid: expected integer, got string"),
        (("maps",), "pid"),
        (("sym", "symbol=" + os.fsdecode(b"\xff")), "Unicode"),
    ],
    ids=("operation", "argument", "type", "missing", "bytes"),
)
def test_what_cannot_be_asked_is_wrong_usage_in_one_line(words, says, machine):
    answer = glassbox("call", machine.name, *words)
    assert answer.returncode == 2 and not answer.stdout
    assert says in answer.stderr and answer.stderr.count("\n") == 1
