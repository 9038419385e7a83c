"""The verb call: any operation of the table by name."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import UsageError
from .options import Verbs, add_name, add_verb, connect, print_json


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "call", call, "glassbox call demo type_layout name=list_head depth=2")
    add_name(parser)
    parser.add_argument("operation", metavar="OPERATION", help="a row of the operation table (docs/protocol.md)")
    parser.add_argument("arguments", metavar="KEY=VALUE", nargs="*", help="its arguments; VALUE is JSON, else text")


def call(options: argparse.Namespace) -> None:
    """Ask a machine any operation of the protocol and print its whole answer as JSON, bytes in hexadecimal."""
    import msgspec

    from ..wire.operations import BY_NAME

    operation = BY_NAME.get(options.operation.replace("-", "_"))
    if operation is None:
        raise UsageError(f"there is no operation {options.operation!r}; there are {', '.join(BY_NAME)}")
    types = {field.name: field.type for field in msgspec.structs.fields(operation.arguments)}
    arguments = dict(_parse(word, types) for word in options.arguments)
    with connect(options) as client:
        print_json(client.call(operation, arguments))


def _parse(word: str, types: dict[str, Any]) -> tuple[str, Any]:
    """(name, value) of an argument: text where text is wanted, else JSON if it is."""
    # Loaded when the verb runs: the help of all verbs must cost little.
    import msgspec

    key, equals, value = word.partition("=")
    if not equals:
        raise UsageError(f"{word!r} is no argument; write KEY=VALUE, such as pid=1")
    if key not in types:
        raise UsageError(f"there is no argument {key!r}; there are {', '.join(types) or 'none'}")
    if types[key] is str and not value.startswith('"'):
        return key, value
    try:
        return key, msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return key, value
