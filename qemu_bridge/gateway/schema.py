"""The OpenAPI description of operations: their arguments, results and errors as JSON schemas, from the operation table."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from ..wire.document import mark_addresses
from ..wire.event_records import AnyEvent
from ..wire.operations import Cost, Operation, Permission, iter_operations
from ..wire.records import Blob, Status
from .access import required_permission

_REFERENCE = "#/components/schemas/{name}"
_PLACE = "qemu_bridge.wire.records."
Schema = dict[str, Any]


def is_read_by_get(operation: Operation[..., Any]) -> bool:
    """Whether `operation` is asked by GET with its arguments in the query: a question, or a state that needs no arguments.

    What is told something at once, such as what viewers are to show, changes something, though nothing in the guest.
    """
    is_state = operation.cost is Cost.INSTANT and not operation.arguments.__struct_fields__
    return operation.permission is Permission.READ and (operation.cost is Cost.QUERY or is_state)


def describe(operation: Operation[..., Any]) -> Schema:
    """What OpenAPI says of `operation`, beside path and method."""
    result, arguments = (_named_schemas()[0][kind, operation.name] for kind in ("result", "arguments"))
    needed = required_permission(operation)
    found: Schema = {
        "x-permission": needed.value,
        "x-cost": operation.cost.value,
        "responses": {
            "200": {"description": "The result.", "content": {"application/json": {"schema": result}}},
            "400": failure_schema("An argument is wrong; the sentence says which and what is right."),
            "404": failure_schema("No machine of that name runs."),
        },
    }
    if needed is not Permission.READ:
        found["responses"]["403"] = failure_schema(f"The service was started without --allow-{needed.value}.")
    if is_read_by_get(operation):
        record = _named_schemas()[1][operation.arguments.__name__]
        found["parameters"] = operation_parameters(record, components())
    elif msgspec.structs.fields(operation.arguments):
        required = any(field.required for field in msgspec.structs.fields(operation.arguments))
        found["requestBody"] = {"required": required, "content": {"application/json": {"schema": arguments}}}
    return found


def components() -> dict[str, Schema]:
    """The schemas that `describe` refers to, by name."""
    return _named_schemas()[1]


def reference(kind: str) -> Schema:
    """The schema of the record called `kind`."""
    return {"$ref": reference_to(kind)}


def reference_to(kind: str) -> str:
    """Where the schema of the record called `kind` stands."""
    return _REFERENCE.replace("{name}", kind)


def operation_parameters(record: Schema, named: dict[str, Schema]) -> list[Schema]:
    """The parameters of a query that are the properties of `record`, the schema of arguments; `named` are the schemas it refers to."""
    return [_parameter(name, schema, record, named) for name, schema in record.get("properties", {}).items()]


def _parameter(name: str, schema: Schema, record: Schema, components: dict[str, Schema]) -> Schema:
    found: Schema = {"name": name, "in": "query", "required": name in record.get("required", ())}
    named = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    is_plain = "enum" in named or "anyOf" in named or named.get("type") in ("string", "integer", "number", "boolean")
    # A list or a record in a query is JSON.
    return found | ({"schema": schema} if is_plain else {"content": {"application/json": {"schema": schema}}})


def failure_schema(description: str) -> Schema:
    """The response that is an error."""
    return {"description": description, "content": {"application/json": {"schema": reference("Error")}}}


@cache
def _named_schemas() -> tuple[dict[tuple[str, str], Schema], dict[str, Schema]]:
    keys, kinds = [], []
    for operation in iter_operations():
        keys += [("result", operation.name), ("arguments", operation.name)]
        kinds += [operation.result, operation.arguments]
    found, named = msgspec.json.schema_components(
        [*kinds, Status, AnyEvent], schema_hook=_hexadecimal, ref_template=_REFERENCE
    )
    text = {"type": "string"}
    error = {"type": "object", "properties": {"kind": text, "message": text}, "required": ["kind", "message"]}
    named = dict(named) | {"Error": {"type": "object", "properties": {"error": error}, "required": ["error"]}}
    # Of generic records msgspec's names tell where they are defined, which is nobody's business.
    whole: Schema = msgspec.json.decode(
        msgspec.json.encode({"found": found, "named": named}).replace(_PLACE.encode(), b"")
    )
    mark_addresses(whole)
    return dict(zip(keys, whole["found"], strict=False)), whole["named"]


def _hexadecimal(kind: type) -> Schema:
    if kind is Blob:
        return {"type": "string", "pattern": "^([0-9a-f]{2})*$", "description": "bytes in hexadecimal"}
    raise NotImplementedError(kind)
