"""The description of the whole service."""

import pytest

from qemu_bridge.wire.operations import BY_NAME

pytestmark = pytest.mark.guest


def test_the_description_has_every_route_and_refers_to_nothing_that_is_not_there(reader):
    found = reader.get("/openapi.json").json()
    assert found["openapi"].startswith("3.1") and found["security"] == [{"token": []}]
    names = {path.rpartition("/")[2] for path in found["paths"]}
    assert names >= {*BY_NAME, "machines", "permissions", "ram", "page-map", "files", "events", "snap.png"}
    schemas = found["components"]["schemas"]
    for part in every_dict(found):
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/components/schemas/") in schemas
    for methods in found["paths"].values():
        for method in methods.values():
            assert method["description"] and "422" not in method["responses"]
    identities = [method["operationId"] for methods in found["paths"].values() for method in methods.values()]
    assert len(set(identities)) == len(identities)


def every_dict(part):
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from every_dict(one)


def test_machines_and_permissions_are_listed(reader, service, machine):
    rows = reader.get("/api/machines").json()
    assert [row["runstate"] for row in rows if row["name"] == machine.name] == ["running"]
    assert reader.get("/api/permissions").json() == ["read"]
    assert service.get("/api/permissions").json() == ["control", "read", "write"]
