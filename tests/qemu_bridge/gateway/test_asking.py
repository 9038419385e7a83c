"""The record that a question is answered with."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.asking import describe, describe_unsure, own_answer, shape_answer, where_instead
from qemu_bridge.gateway.understanding import KnownProcess, StaticNames, understand

NAMES = StaticNames(processes=[KnownProcess(97, 1, "crond")])


def ask(question):
    return understand(question, NAMES)


def test_a_question_is_told_with_its_command_and_its_operation():
    assert describe(ask("threads of crond"), "demo") == {
        "understood": "threads of process crond (97)",
        "command": "glassbox overlay demo threads --where pid=97",
        "operation": "overlay",
        "arguments": {"overlay": "threads"},
    }
    unsure = describe_unsure(ask("show the fancy processes"), "demo")
    assert unsure["understood"] is None and "fancy" in unsure["reason"]
    assert unsure["alternatives"][0]["command"] == "glassbox ps demo"


TABLE = {
    "skipped": [],
    "value": {"columns": ["name", "uid"], "rows": [{"name": "a", "uid": 0}, {"name": "b", "uid": 5}], "skipped": []},
}
RANGES = {
    "value": {
        "total_bytes": 12288,
        "grade": "live",
        "ranges": [{"page_class": "free", "size": 4096}, {"page_class": "slab", "size": 8192}],
    }
}


@pytest.mark.parametrize(
    ("question", "result", "answer"),
    [
        ("how many processes are not root's", TABLE, 1),
        ("processes that are not root's", TABLE, {"columns": ["name", "uid"], "rows": [{"name": "b", "uid": 5}], "skipped": []}),
        ("how much memory is free", RANGES, {"total_bytes": 12288, "pages": 3, "grade": "live"}),
        ("memory by class", RANGES, [{"page_class": "slab", "size": 8192}, {"page_class": "free", "size": 4096}]),
        ("read 2 bytes at 0x1000", {"value": ["00ff"]}, {"physical": "0x1000", "length": 2, "hex": "00ff"}),
        ("processes", {"value": [1, 2]}, [1, 2]),
        ("status", {"runstate": "running"}, {"runstate": "running"}),
    ],
)  # fmt: skip
def test_the_answer_is_what_is_wanted_of_the_result(question, result, answer):
    assert shape_answer(ask(question), result) == answer


def test_where_no_viewer_is_it_is_told_where_the_memory_is():
    assert where_instead(ask("highlight crond")).words == ("resolve", "{machine}", "comm:crond")
    for other in ("unhighlight", "processes"):
        assert where_instead(ask(other)) == ask(other)


def test_what_can_be_asked_is_an_answer_and_a_window_is_none():
    assert "what processes are running?" in own_answer(ask("help")) and own_answer(ask("open a viewer")) is None
