"""The verb call: any operation of the table by name."""

from __future__ import annotations

import argparse

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
    from ..wire.messages import argument_from_text
    from ..wire.operations import BY_NAME

    operation = BY_NAME.get(options.operation.replace("-", "_"))
    if operation is None:
        raise UsageError(f"there is no operation {options.operation!r}; there are {', '.join(BY_NAME)}")
    pairs = [_split(word) for word in options.arguments]
    arguments = {name: argument_from_text(operation, name, text) for name, text in pairs}
    with connect(options) as client:
        print_json(client.call(operation, arguments))


def _split(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not equals:
        raise UsageError(f"{word!r} is no argument; write KEY=VALUE, such as pid=1")
    return name, text
