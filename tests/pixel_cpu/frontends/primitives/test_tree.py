from dataclasses import fields, is_dataclass
from typing import get_args

from pixel_cpu.frontends.primitives import tree
from pixel_cpu.frontends.primitives.lower import Unit


def test_every_statement_can_be_lowered():
    for statement in get_args(tree.Statement):
        assert hasattr(Unit, f"_do_{statement.__name__.lower()}")


def test_every_expression_but_chains_can_be_lowered():
    for expression in get_args(tree.Expression):
        assert expression is tree.Binary or hasattr(Unit, f"_of_{expression.__name__.lower()}")


def test_statements_of_the_host_are_plain_records():
    for statement in get_args(tree.HostStatement):
        assert is_dataclass(statement) and "line" in [field.name for field in fields(statement)]
