"""Errors as a status and a sentence."""

import pytest

from qemu_bridge import errors
from qemu_bridge.gateway.answers import status_of


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.UsageError, 400),
        (errors.AddressError, 400),
        (errors.UnknownMachineError, 404),
        (errors.MachineGoneError, 410),
        (errors.MachineError, 502),
        (errors.NotBootedError, 503),
        (errors.TraceError, 422),
        (errors.GlassBoxError, 500),
    ],
)
def test_the_status_says_what_the_error_says(kind, status):
    assert status_of(kind("no")) == status


@pytest.mark.guest
def test_an_error_has_the_kind_and_the_sentence_of_the_protocol(reader, machine):
    answer = reader.get("/api/machines/nobody/ps")
    assert (
        answer.status == 404
        and answer.error["kind"] == "UnknownMachineError"
        and machine.name in answer.error["message"]
    )
    answer = reader.get(f"/api/machines/{machine.name}/maps?pid=999999")
    assert answer.status == 400 and "999999" in answer.error["message"]


@pytest.mark.guest
def test_a_path_that_leads_nowhere_says_where_the_routes_are_listed(reader):
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("POST", "/api/machines", 405),
        ("GET", "/api/machines/x/levitate", 404),
    ):
        answer = reader.call(method, path)
        assert answer.status == status and "/openapi.json" in answer.error["message"]
