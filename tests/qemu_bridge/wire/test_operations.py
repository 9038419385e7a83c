"""The operation table: a row has a function, an example, a schema, and both clients have its method."""

import inspect

import msgspec
import pytest

from qemu_bridge.client import AsyncClient, Client
from qemu_bridge.daemon import job_process
from qemu_bridge.daemon.control import Control
from qemu_bridge.introspection.questions import Questions
from qemu_bridge.wire.operations import BY_NAME, Cost, Operation, Operations, Permission, iter_operations
from qemu_bridge.wire.records import Answer

ROWS = list(iter_operations())
PLACES = {Cost.INSTANT: vars(Control), Cost.QUERY: vars(Questions)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_has_one_function_of_its_name_and_arguments(row):
    if row.cost is Cost.JOB:
        assert row.name in (*job_process.JOBS, "snap", "record_video")
        return
    function = PLACES[row.cost][row.name]
    assert list(inspect.signature(function).parameters)[1:] == list(row.arguments.__struct_fields__)
    other = PLACES[Cost.QUERY if row.cost is Cost.INSTANT else Cost.INSTANT]
    assert row.name not in other or row.name.startswith("_")


def test_every_public_function_of_the_daemon_is_a_row():
    for place in PLACES.values():
        functions = {name for name, value in place.items() if inspect.isfunction(value) and not name.startswith("_")}
        assert functions - {"answer", "newest_page_map"} <= set(BY_NAME)
    assert set(job_process.JOBS) <= set(BY_NAME)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_says_what_it_does_with_an_example_of_its_own(row):
    summary, *rest = row.doc.strip().split("\n")
    assert summary.endswith((".", ":", ";")) or rest, summary
    assert f">>> client.{row.name}(" in row.doc or f"client.{row.name}(" in row.doc


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_arguments_and_result_have_a_schema(row):
    assert msgspec.json.schema(row.arguments)["$ref"]
    assert isinstance(msgspec.json.schema(row.result, schema_hook=lambda kind: {"type": "object"}), dict)
    assert isinstance(row.permission, Permission) and isinstance(row.cost, Cost)


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_both_clients_have_a_method_for_every_row(client):
    assert all(callable(getattr(client, row.name)) or isinstance(getattr(client, row.name), Operation) for row in ROWS)


def test_what_is_about_guest_ram_says_how_far_it_can_be_trusted():
    for row in ROWS:
        if row.cost is Cost.QUERY:
            assert row.result.__origin__ is Answer, row.name


def test_arguments_are_bound_by_name_like_those_of_a_function():
    assert Operations.maps.bind(1) == Operations.maps.bind(pid=1) == {"pid": 1}
    assert Operations.resolve.bind("pid:1", by_page=True) == {"target": "pid:1", "by_page": True}
    for wrong in (lambda: Operations.maps.bind(1, 2), lambda: Operations.maps.bind(1, pid=2)):
        with pytest.raises(TypeError, match="maps takes"):
            wrong()
    with pytest.raises(TypeError, match="colour"):
        Operations.maps.bind(colour=1)
